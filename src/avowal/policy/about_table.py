"""The table of a page that says who is responsible, on which legal basis, and which rights visitors have."""

from collections.abc import Iterator

from avowal.policy.about import legal_basis_of
from avowal.policy.bounds import Bounds
from avowal.policy.labels import describe_transfer, find_label, join_phrases, name_country
from avowal.policy.language import Language
from avowal.policy.page_tables import PageTable
from avowal.policy.references import RIGHTS
from avowal.policy.terms import Terms
from avowal.policy.vocabulary import load_vocabulary


def build_about_table(terms: Terms, bounds: Bounds, language: Language) -> PageTable:
    """Return the controller, the contact, and what else the terms declare about the site. Empty values have no row."""
    say = language.translate
    rows = [(label, value) for label, value in _list_rows(terms, bounds, language) if value]
    return PageTable(say("Who is responsible, and your rights"), (say("what"), say("that is")), rows)


def _list_rows(terms: Terms, bounds: Bounds, language: Language) -> Iterator[tuple[str, str]]:
    say, about = language.translate, terms.about
    yield say("Controller"), terms.controller
    yield say("Contact"), terms.contact
    yield say("Representative"), about.representative
    yield say("Data protection officer"), about.data_protection_officer
    for purpose in load_vocabulary(terms.vocabulary).purposes:
        if basis := legal_basis_of(bounds.duties, purpose):
            label = find_label("purpose", purpose, language)
            yield say("Legal basis: {purpose}", purpose=label), find_label("legal-basis", basis, language)
    rights = [find_label("right", name, language) for name in RIGHTS if bounds.duties.get(name)]
    yield say("Your rights"), " ".join(rights)
    if rights:
        yield (
            say("How to use your rights"),
            say("Open your data page on this website, or write to {contact}.", contact=terms.contact),
        )
    yield say("Complaints"), about.complaints
    places = [name_country(code, language) for code in about.places]
    yield say("Where data is processed"), join_phrases(places, language)
    transfers = [describe_transfer(transfer, language) for transfer in about.transfers]
    yield say("Transfers to other countries"), join_phrases(transfers, language)
