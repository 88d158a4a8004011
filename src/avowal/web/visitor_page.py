"""The page of what is held of one visitor, to read and to print."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from avowal.app.owner_requests import RelationSummary
from avowal.app.visitor_data import TabPageData, VisitorPageData
from avowal.app.visitor_summary import VisitorSummary
from avowal.change.consent import ConsentChoice
from avowal.policy.language import Language, find_language
from avowal.policy.page import PageTable, VersionLabel, build_version_label, render_template
from avowal.store.columns import RELATIONS, VISITOR_KEY_COLUMNS

COUNT_COLUMNS = ("views", "downloads", "uploads")
"""Columns that are numbers of a category: they bear their names beside them."""

StoredRecord = Mapping[str, Any]


def render_visitor_page(
    data: VisitorPageData,
    language_tag: str,
    choices: Sequence[ConsentChoice] | None = None,
    translations: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the page of a visitor's data in a language.

    `choices` are given for the visitor's own browser only, where the page offers what the visitor may do;
    `translations` are the languages and paths of the page's translations.
    """
    spoken, summary, records = find_language(language_tag), data.summary, data.records
    return render_template(
        "visitor_page.html",
        spoken.tag,
        package="avowal.web",
        visitor=summary.visitor,
        controller=data.controller,
        tables=[table for table in _tables(summary, records, spoken) if table.rows],
        more=any(summary.stored[name].records > len(rows) for name, rows in records.items()),
        released=summary.releases,
        is_own_page=choices is not None,
        decisions=[_decision(one, spoken) for one in choices or ()],
        receipts=_receipts(summary, spoken) if choices is not None else [],
        languages=translations,
    )


def render_tab_page(data: TabPageData, views_field: str, language_tag: str) -> str:
    """Return the page of what one tab reported, in a language; its forms send `views_field` on."""
    spoken = find_language(language_tag)
    title = spoken.translate("Pages you looked at in this tab")
    tables = [_records("script_views", title, data.records, spoken), _readings(data.summary, spoken)]
    return render_template(
        "tab_page.html",
        spoken.tag,
        package="avowal.web",
        views_field=views_field,
        tables=[table for table in tables if table.rows],
    )


class ConsentDecisionText(NamedTuple):
    """A version that the visitor may consent to, or whose consent they may take back, as the page shows it."""

    version: VersionLabel
    identity: str
    given: bool
    effects: list[tuple[str, list[str]]]
    """Of which records, and what is permitted of them with the consent."""


def _decision(one: ConsentChoice, spoken: Language) -> ConsentDecisionText:
    effects = [
        (
            spoken.translate(
                "{records}, which version {number} governs without it:",
                records=spoken.translate_count("{n} record", "{n} records", effect.records),
                number=effect.governing,
            ),
            effect.looser_rules,
        )
        for effect in one.effects
    ]
    return ConsentDecisionText(
        build_version_label(one.version, one.effective_at, spoken), one.identity, one.is_given, effects
    )


def _receipts(told: VisitorSummary, spoken: Language) -> list[tuple[int, str]]:
    """Return which entries of the ledger the visitor has receipts of, and what each is of."""
    say = spoken.translate
    consents = [
        (
            one.entry,
            say("Consent to version {number}", number=one.version)
            if one.given
            else say("Consent to version {number}, taken back", number=one.version),
            one.recorded_at,
        )
        for one in told.consents
    ]
    released = [
        (one.entry, say("Release to {recipient}", recipient=one.recipient), one.released_at)
        for one in told.releases
    ]
    return [
        (entry, say("{what}, at {time} (UTC)", what=what, time=_value("recorded_at", at, spoken)))
        for entry, what, at in sorted(consents + released)
    ]


def _tables(
    told: VisitorSummary, records: Mapping[str, Sequence[StoredRecord]], spoken: Language
) -> list[PageTable]:
    say = spoken.translate
    titles = {
        "visits": say("Your visits"),
        "views": say("Pages you looked at"),
        "requests": say("Requests"),
        "script_views": say("What the script in the pages told"),
        "events": say("What you did on pages"),
    }
    return [
        PageTable(
            say("How much is held"),
            (say("what"), say("records"), say("from (UTC)"), say("to (UTC)"), say("under version")),
            [_extent(titles[name], told.stored[name], spoken) for name in titles],
        ),
        *(_records(name, titles[name], records[name], spoken) for name in titles),
        _handed_over(told, spoken),
        _consents(told, spoken),
        _authorised(told, spoken),
        _released(told, spoken),
        _readings(told, spoken),
    ]


def _handed_over(told: VisitorSummary, spoken: Language) -> PageTable:
    say = spoken.translate
    rows = [
        (
            one.reference,
            _value("submitted_at", one.submitted_at, spoken),
            spoken.translate_word("category", field.category),
            field.value["name"] if isinstance(field.value, dict) else field.value,
            str(one.version),
        )
        for one in told.submissions
        for field in one.fields
    ]
    headings = (say("reference"), say("at (UTC)"), say("what"), say("that is"), say("under version"))
    return PageTable(say("What you handed over"), headings, rows)


def _consents(told: VisitorSummary, spoken: Language) -> PageTable:
    say = spoken.translate
    rows = [
        (
            say("given") if one.given else say("taken back"),
            str(one.version),
            _value("recorded_at", one.recorded_at, spoken),
            str(one.entry),
        )
        for one in told.consents
    ]
    headings = (say("consent"), say("to version"), say("at (UTC)"), say("entry of the ledger"))
    return PageTable(say("Your consents to newer versions"), headings, rows)


def _authorised(told: VisitorSummary, spoken: Language) -> PageTable:
    say = spoken.translate
    rows = [
        (
            one.recipient,
            spoken.translate_words("category", one.categories) if one.given else say("taken back"),
            _value("recorded_at", one.recorded_at, spoken),
            str(one.entry),
        )
        for one in told.authorisations
    ]
    headings = (say("to"), say("what"), say("at (UTC)"), say("entry of the ledger"))
    return PageTable(say("What you authorised others to have"), headings, rows)


def _released(told: VisitorSummary, spoken: Language) -> PageTable:
    say = spoken.translate
    rows = [
        (
            one.recipient,
            spoken.translate_words("category", one.categories),
            spoken.translate_word("ground", one.ground),
            _value("released_at", one.released_at, spoken),
            say("taken back") if one.recalled_at else "",
            str(one.entry),
        )
        for one in told.releases
    ]
    headings = (say("to"), say("what"), say("because"), say("at (UTC)"), "", say("entry of the ledger"))
    return PageTable(say("What was released to others"), headings, rows)


def _readings(told: VisitorSummary, spoken: Language) -> PageTable:
    """Return who read anything of single visitors, by day."""
    say, readings, records = (
        spoken.translate,
        Counter[tuple[str, str, str]](),
        Counter[tuple[str, str, str]](),
    )
    for one in told.accesses:
        if one.rows:
            about = f"{one.recorded_at:%Y-%m-%d}", one.reader, one.purpose
            readings[about] += 1
            records[about] += one.rows
    rows = [
        (
            who,
            spoken.translate_word("purpose", purpose),
            day,
            f"{readings[day, who, purpose]:,}",
            f"{count:,}",
        )
        for (day, who, purpose), count in sorted(records.items(), reverse=True)
    ]
    headings = (say("who"), say("for"), say("on (UTC)"), say("times"), say("records of all visitors"))
    return PageTable(say("Who read records that may be yours"), headings, rows)


def _extent(title: str, stored: RelationSummary, spoken: Language) -> tuple[str, ...]:
    ends = (_value("time", end, spoken) if end else "" for end in (stored.first, stored.last))
    return title, f"{stored.records:,}", *ends, spoken.join_list(map(str, stored.versions))


def _records(name: str, title: str, records: Sequence[StoredRecord], spoken: Language) -> PageTable:
    """Return the table of a relation's records: a column for each category of which any has something."""
    columns: dict[str, list[str]] = {}
    for column, forms in RELATIONS[name].columns.items():
        if column not in VISITOR_KEY_COLUMNS and any(record[column] is not None for record in records):
            columns.setdefault(forms[0].category, []).append(column)
    headings = [spoken.translate_word("category", category) for category in columns]
    rows = [
        (*(_cell(record, names, spoken) for names in columns.values()), _governed(record, spoken))
        for record in records
    ]
    return PageTable(title, (*headings, spoken.translate("version")), rows)


def _cell(record: StoredRecord, columns: Sequence[str], spoken: Language) -> str:
    separator = " → " if "entry_path" in columns else " "
    values = [_value(column, record[column], spoken) for column in columns if record[column] is not None]
    return separator.join(dict.fromkeys(value for value in values if value))


def _governed(record: StoredRecord, spoken: Language) -> str:
    own, governing = record["version"], record["governing"]
    return (
        str(own)
        if own == governing
        else spoken.translate("{own}, now under {governing}", own=own, governing=governing)
    )


def _value(column: str, value: Any, spoken: Language) -> str:
    """Return a value as people read it."""
    if column in COUNT_COLUMNS:
        return f"{spoken.translate_word('count', column)}: {value:,}" if value else ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if column.endswith(("_time", "_at", "time")) and isinstance(value, str):
        return value.replace("T", " ").partition(".")[0]
    if column.endswith("_ms"):
        return f"{value / 1_000:,.1f} s"
    if column.endswith("_us"):
        return f"{value / 1_000:,.1f} ms"
    return f"{value:,}" if column == "bytes" else str(value)
