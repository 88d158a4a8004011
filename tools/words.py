"""Bring the catalogues of `policy/languages` in line with the texts that there are to translate.

`words.py` writes them; `words.py --check` only tells what is missing, and what nobody says any more.
"""

import io
import sys
from importlib import resources
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from avowal.policy.compare import ProtectionRelation
from avowal.policy.ground import EvidenceKind
from avowal.policy.terms import Duties
from avowal.policy.vocabulary import WORD_KINDS, load_vocabulary
from avowal.web.visitor_page import COUNT_COLUMNS

POLICY, *OTHERS = (
    Path(str(resources.files(f"avowal.{name}"))) for name in ("policy", "http", "endpoints", "web")
)
LANGUAGES = POLICY / "languages"
SAID = {"say": None, "translate": None, "translate_count": (1, 2), "pgettext": ((1, "c"), 2)}
SINGULAR = {"categories": "category", "purposes": "purpose", "recipients": "recipient", "grounds": "ground"}
PRECISIONS_OF_COOKIES = ("if-accepted", "unless-refused")
WIDTH = 0


def template() -> Catalog:
    """Return every text that is said, each with where that is."""
    found = Catalog(project="Avowal", charset="utf-8")
    for path in sorted(
        path
        for package in (POLICY, *OTHERS)
        for path in [*package.glob("*.py"), *package.glob("templates/*.html")]
    ):
        method = "python" if path.suffix == ".py" else "jinja2.ext:babel_extract"
        for line, text, _, context in extract_from_file(method, str(path), keywords=SAID):
            found.add(text, locations=[(path.name, line)], context=context)
    words = load_vocabulary()
    for kind in WORD_KINDS:
        for name, word in words.words(kind).items():
            found.add(name, context=SINGULAR[kind])
            found.add(word.description)
            for precision in word.precisions:
                found.add(precision, context="precision")
    for context, texts in (
        ("precision", PRECISIONS_OF_COOKIES),
        ("duty", Duties.__struct_encode_fields__),
        ("relation", tuple(ProtectionRelation)),
        ("recipient", ("third-party",)),
        ("evidence", tuple(EvidenceKind)),
        ("count", COUNT_COLUMNS),
    ):
        for text in texts:
            found.add(str(text), context=context)
    return found


def wrong(catalogue: Catalog, said: Catalog) -> list[str]:
    """Return what a catalogue leaves untranslated, and what it has that nobody says."""
    keys = {(message.context, message.id) for message in said if message.id}
    there = {(message.context, message.id): message for message in catalogue if message.id}
    missing = [key for key in keys if key not in there or not _told(there[key])]
    return [f"missing: {key}" for key in missing] + [f"unsaid: {key}" for key in there.keys() - keys]


def _told(message: Message) -> bool:
    """Return whether a text is translated, in all of its numbers."""
    texts = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return all(texts) and not message.fuzzy


def main() -> int:
    """Return 1 where a catalogue is not whole."""
    said, found = template(), 0
    for path in sorted(LANGUAGES.glob("*.po")):
        catalogue = read_po(io.BytesIO(path.read_bytes()), locale=Locale.parse(path.stem))
        if "--check" not in sys.argv:
            catalogue.update(said, no_fuzzy_matching=True)
            catalogue.obsolete.clear()
            with path.open("wb") as file:
                write_po(file, catalogue, width=WIDTH, no_location=True, sort_output=True)
        for sentence in wrong(catalogue, said):
            print(f"{path.name}: {sentence}")
            found = 1
    return found


if __name__ == "__main__":
    sys.exit(main())
