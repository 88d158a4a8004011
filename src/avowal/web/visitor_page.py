"""The page of one visitor's data, to read and to print."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from avowal.app.visitor_data import TabPageData, VisitorPageData
from avowal.app.visitor_requests import RelationSummary
from avowal.app.visitor_summary import VisitorSummary
from avowal.change.consent import ConsentChoice
from avowal.ledger.address_coverage import AddressCoverage, DayOutcome
from avowal.policy.language import Language, find_language
from avowal.policy.page import VersionLabel, build_version_label, render_template
from avowal.policy.page_tables import PageTable
from avowal.store.columns import RELATIONS, VISITOR_KEY_COLUMNS

COUNT_COLUMNS = ("views", "downloads", "uploads")
"""Columns whose values are shown with the column's name, as several of them share a cell."""

StoredRecord = Mapping[str, Any]


def render_visitor_page(
    data: VisitorPageData,
    language_tag: str,
    choices: Sequence[ConsentChoice] | None = None,
    translations: Sequence[tuple[str, str]] = (),
    *,
    decided_entry: int | None = None,
    has_privacy_signal: bool = False,
) -> str:
    """Return the page of a visitor's data in a language.

    `choices` are given for the visitor's own browser only, where the page offers what the visitor may do;
    `translations` are the languages and paths of the page's translations. `decided_entry` is the entry of the decision
    that the visitor has just made; `has_privacy_signal` is whether the browser asks not to be tracked.
    """
    language, summary, records = find_language(language_tag), data.summary, data.records
    return render_template(
        "visitor_page.html",
        language.tag,
        package="avowal.web",
        visitor=summary.visitor,
        ip_address=summary.coverage.address if summary.coverage else "",
        controller=data.controller,
        tables=[table for table in _build_tables(summary, records, language) if table.rows],
        has_more_records=any(
            summary.stored[relation].records > len(rows) for relation, rows in records.items()
        ),
        has_releases=bool(summary.releases),
        is_own_page=choices is not None,
        decisions=[_build_decision(choice, language) for choice in choices or ()],
        decided=next((consent for consent in summary.consents if consent.entry == decided_entry), None),
        has_privacy_signal=has_privacy_signal,
        receipts=_list_receipts(summary, language) if choices is not None else [],
        languages=translations,
    )


def render_tab_page(data: TabPageData, views_field: str, language_tag: str) -> str:
    """Return the page of what one tab reported, in a language; its forms send `views_field` on."""
    language = find_language(language_tag)
    title = language.translate("Pages you viewed in this tab")
    tables = [
        _build_record_table("script_views", title, data.records, language),
        _build_access_table(data.summary, language),
    ]
    return render_template(
        "tab_page.html",
        language.tag,
        package="avowal.web",
        views_field=views_field,
        tables=[table for table in tables if table.rows],
    )


class ConsentDecisionText(NamedTuple):
    """A version that the visitor may consent to, or whose consent they may withdraw, as the page shows it."""

    version_label: VersionLabel
    identity: str
    is_given: bool
    effects: list[tuple[str, list[str]]]
    """A sentence about some of the visitor's records, and what the consent permits for them."""


def _build_decision(choice: ConsentChoice, language: Language) -> ConsentDecisionText:
    effects = [
        (
            language.translate(
                "{records}, to which version {number} applies without your consent:",
                records=language.translate_count("{n} record", "{n} records", effect.records),
                number=effect.governing,
            ),
            effect.looser_rules,
        )
        for effect in choice.effects
    ]
    label = build_version_label(choice.version, choice.effective_at, language)
    return ConsentDecisionText(label, choice.identity, choice.is_given, effects)


def _list_receipts(summary: VisitorSummary, language: Language) -> list[tuple[int, str]]:
    """Return the ledger entries that the visitor has receipts of, each with a label."""
    say = language.translate
    consents = [
        (
            consent.entry,
            say("Consent to version {number}", number=consent.version)
            if consent.given
            else say("Withdrawal of consent to version {number}", number=consent.version),
            consent.recorded_at,
        )
        for consent in summary.consents
    ]
    releases = [
        (
            release.entry,
            say("Disclosure to {recipient}", recipient=release.recipient),
            release.summary.released_at,
        )
        for release in summary.releases
    ]
    return [
        (
            entry,
            say("{what}, at {time} (UTC)", what=label, time=format_cell_value("recorded_at", time, language)),
        )
        for entry, label, time in sorted(consents + releases)
    ]


def _relation_titles(language: Language) -> dict[str, str]:
    """Return what the records of each relation are called."""
    say = language.translate
    return {
        "visits": say("Your visits"),
        "views": say("Pages you viewed"),
        "requests": say("Requests"),
        "script_views": say("Page views reported by the script"),
        "events": say("Your actions on pages"),
    }


def build_erasure_table(counts: Mapping[str, int], language: Language) -> PageTable:
    """Return how many records of each kind were erased."""
    say = language.translate
    titles = {
        **_relation_titles(language),
        "consents": say("Consents"),
        "submissions": say("Submissions"),
        "authorisations": say("Authorisations"),
    }
    rows = [(title, f"{counts[name]:,}") for name, title in titles.items() if counts[name]]
    return PageTable(say("What we deleted"), (say("what"), say("records")), rows)


def _build_tables(
    summary: VisitorSummary, records: Mapping[str, Sequence[StoredRecord]], language: Language
) -> list[PageTable]:
    say = language.translate
    titles = _relation_titles(language)
    return [
        *([_build_coverage_table(summary.coverage, language)] if summary.coverage else []),
        PageTable(
            say("How much data we hold"),
            (say("what"), say("records"), say("from (UTC)"), say("to (UTC)"), say("under version")),
            [
                _build_extent_row(title, summary.stored[relation], language)
                for relation, title in titles.items()
            ],
        ),
        *(
            _build_record_table(relation, title, records[relation], language)
            for relation, title in titles.items()
        ),
        _build_submission_table(summary, language),
        _build_consent_table(summary, language),
        _build_authorisation_table(summary, language),
        _build_release_table(summary, language),
        _build_access_table(summary, language),
    ]


def _build_coverage_table(coverage: AddressCoverage, language: Language) -> PageTable:
    """Return what of each day is on the page, and why the rest is not."""
    say = language.translate
    reasons = {
        DayOutcome.COVERED: "",
        DayOutcome.PARTLY_COVERED: say("The others belong to a cookie: whoever has it can see them."),
        DayOutcome.SEVERAL_VISITORS: say(
            "Several visitors had this address. We cannot tell which of them you are."
        ),
        DayOutcome.COOKIE: say("They belong to a cookie: whoever has it can see them."),
        DayOutcome.ADDRESS_UNKNOWN: say("We cannot tell whether you alone had this address."),
    }
    rows = [
        (
            day.day,
            f"{day.visitors:,}",
            f"{day.records:,}",
            f"{day.covered_records:,}",
            f"{day.records_without_address:,}",
            reasons[day.outcome],
        )
        for day in coverage.days
    ]
    headings = (
        say("date"),
        say("visitors with this address"),
        say("records"),
        say("shown here"),
        say("records without a full address"),
        say("why some are not shown"),
    )
    return PageTable(say("Which days are shown"), headings, rows)


def _build_submission_table(summary: VisitorSummary, language: Language) -> PageTable:
    say = language.translate
    rows = [
        (
            submission.reference,
            format_cell_value("submitted_at", submission.submitted_at, language),
            language.translate_word("category", field.category),
            field.value["name"] if isinstance(field.value, dict) else field.value,
            str(submission.version),
        )
        for submission in summary.submissions
        for field in submission.fields
    ]
    headings = (say("reference"), say("at (UTC)"), say("what"), say("value"), say("under version"))
    return PageTable(say("What you submitted"), headings, rows)


def _build_consent_table(summary: VisitorSummary, language: Language) -> PageTable:
    say = language.translate
    rows = [
        (
            say("given") if consent.given else say("withdrawn"),
            str(consent.version),
            format_cell_value("recorded_at", consent.recorded_at, language),
            str(consent.entry),
        )
        for consent in summary.consents
    ]
    headings = (say("consent"), say("to version"), say("at (UTC)"), say("entry in the public log"))
    return PageTable(say("Your consents to newer versions"), headings, rows)


def _build_authorisation_table(summary: VisitorSummary, language: Language) -> PageTable:
    say = language.translate
    rows = [
        (
            authorisation.recipient,
            language.translate_words("category", authorisation.categories)
            if authorisation.given
            else say("withdrawn"),
            format_cell_value("recorded_at", authorisation.recorded_at, language),
            str(authorisation.entry),
        )
        for authorisation in summary.authorisations
    ]
    headings = (say("to"), say("what"), say("at (UTC)"), say("entry in the public log"))
    return PageTable(say("What you authorised others to receive"), headings, rows)


def _build_release_table(summary: VisitorSummary, language: Language) -> PageTable:
    say = language.translate
    rows = [
        (
            release.recipient,
            language.translate_words("category", release.summary.categories),
            language.translate_word("ground", release.summary.ground),
            format_cell_value("released_at", release.summary.released_at, language),
            say("withdrawn") if release.recalled_at else "",
            str(release.entry),
        )
        for release in summary.releases
    ]
    headings = (
        say("to"),
        say("what"),
        say("legal ground"),
        say("at (UTC)"),
        "",
        say("entry in the public log"),
    )
    return PageTable(say("What we disclosed to others"), headings, rows)


def _build_access_table(summary: VisitorSummary, language: Language) -> PageTable:
    """Return who read records of single visitors, by day, reader and purpose."""
    say = language.translate
    access_counts, record_counts = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
    for access in summary.accesses:
        if access.rows:
            group = f"{access.recorded_at:%Y-%m-%d}", access.reader, access.purpose
            access_counts[group] += 1
            record_counts[group] += access.rows
    rows = [
        (
            reader,
            language.translate_word("purpose", purpose),
            day,
            f"{access_counts[day, reader, purpose]:,}",
            f"{record_count:,}",
        )
        for (day, reader, purpose), record_count in sorted(record_counts.items(), reverse=True)
    ]
    headings = (say("who"), say("for"), say("on (UTC)"), say("times"), say("records read, of all visitors"))
    return PageTable(say("Who read records that may include yours"), headings, rows)


def _build_extent_row(title: str, extent: RelationSummary, language: Language) -> tuple[str, ...]:
    times = (
        format_cell_value("time", time, language) if time else "" for time in (extent.first, extent.last)
    )
    return title, f"{extent.records:,}", *times, language.join_list(map(str, extent.versions))


def _build_record_table(
    relation: str, title: str, records: Sequence[StoredRecord], language: Language
) -> PageTable:
    """Return the table of a relation's records: a column for each category of which any record has a value."""
    columns_by_category: dict[str, list[str]] = {}
    for column, forms in RELATIONS[relation].columns.items():
        if column not in VISITOR_KEY_COLUMNS and any(record[column] is not None for record in records):
            columns_by_category.setdefault(forms[0].category, []).append(column)
    headings = [language.translate_word("category", category) for category in columns_by_category]
    rows = [
        (
            *(_format_cell(record, columns, language) for columns in columns_by_category.values()),
            _format_versions(record, language),
        )
        for record in records
    ]
    return PageTable(title, (*headings, language.translate("version")), rows)


def _format_cell(record: StoredRecord, columns: Sequence[str], language: Language) -> str:
    """Return the values of a record's columns of one category, each once."""
    separator = " → " if "entry_path" in columns else " "
    values = [
        format_cell_value(column, record[column], language)
        for column in columns
        if record[column] is not None
    ]
    return separator.join(dict.fromkeys(value for value in values if value))


def _format_versions(record: StoredRecord, language: Language) -> str:
    """Return the version that a record was collected under, and the one that governs it if it is another."""
    collected, governing = record["version"], record["governing"]
    if collected == governing:
        return str(collected)
    return language.translate("{own}, now under {governing}", own=collected, governing=governing)


def format_cell_value(column: str, value: Any, language: Language) -> str:
    """Return the value of a column as people read it."""
    if column in COUNT_COLUMNS:
        return f"{language.translate_word('count', column)}: {value:,}" if value else ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if column.endswith(("time", "_at")):
        return str(value).replace("T", " ").partition(".")[0]
    if column.endswith("_ms"):
        return f"{value / 1_000:,.1f} s"
    if column.endswith("_us"):
        return f"{value / 1_000:,.1f} ms"
    return f"{value:,}" if column == "bytes" else str(value)
