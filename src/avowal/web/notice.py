"""The notice of a new version as pages show it: its texts by language, and its HTML."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources

import msgspec

from avowal.clock import utc_now
from avowal.policy.language import find_language, text_direction
from avowal.policy.page import render_template
from avowal.register.notices import Notice, NoticeDisplay
from avowal.register.register import Register
from avowal.web.policy_pages import POLICY_PATH

NOTICE_STYLE = (resources.files("avowal.web") / "templates" / "notice.css").read_text(encoding="utf-8")


class NoticeText(msgspec.Struct, frozen=True):
    """A notice in one language, as pages show it."""

    language: str
    text_direction: str
    """`ltr` or `rtl`."""
    label: str
    text: str
    link_label: str
    close_label: str
    changes_path: str
    """Where the changes are explained, relative to the script's address."""


def find_current_notice(register: Register, now: datetime) -> tuple[int, dict[str, NoticeText]]:
    """Return the newest version whose notice is to be displayed, and the texts by language; 0 if there is none.

    A text is about every version whose notice is to be displayed: a later one hides none before it.
    """
    by_language = dict[str, list[Notice]]()
    for notice in register.notices.all():
        if notice.is_displayed(now.date()):
            by_language.setdefault(notice.language, []).append(notice)
    newest = max((notices[-1].version for notices in by_language.values()), default=0)
    effective_times = {version.number: version.effective_at for version in register.versions()}
    return newest, {
        language: _build_text(notices, effective_times)
        for language, notices in by_language.items()
        if notices[-1].version == newest
    }


def render_notice(texts: Mapping[str, NoticeText], language_tag: str, base_url: str) -> str:
    """Return a notice as HTML to insert into a page; `base_url` leads to Avowal's own pages."""
    return render_template(
        "notice.html", language_tag, package="avowal.web", notice=texts[language_tag], base_url=base_url
    )


def is_display_recorded(register: Register, version: int) -> bool:
    """Return whether the ledger says that pages showed the notice of a version."""
    return any(
        display.version == version and not display.attested_by_operator
        for display in register.notices.displays()
    )


def record_display(register: Register, version: int, place: str) -> None:
    """Record that pages showed the notice of a version, and those of the versions before that were shown with it."""
    now = utc_now()
    displayed = {notice.version for notice in register.notices.all() if notice.is_displayed(now.date())}
    for number in sorted(displayed):
        if number <= version and not is_display_recorded(register, number):
            register.notices.record_display(
                NoticeDisplay(number, place, attested_by_operator=False, recorded_at=now)
            )


def _build_text(notices: Sequence[Notice], effective_times: Mapping[int, datetime]) -> NoticeText:
    """Return the text of the notices of several versions in one language, in the order of the versions."""
    first, last = notices[0], notices[-1]
    language = find_language(last.language)
    title = language.translate("The privacy policy changes")
    sentences = []
    for notice in notices:
        day = language.format_day(effective_times[notice.version].date())
        sentences += [
            language.translate("Version {number}, in force from {day}.", number=notice.version, day=day),
            language.translate("Beside the one before: {relation}.", relation=notice.relation),
        ]
    return NoticeText(
        language=last.language,
        text_direction=text_direction(last.language),
        label=title,
        text=f"{title}: {' '.join(sentences)}",
        link_label=language.translate("What changes"),
        close_label=language.translate("Close"),
        changes_path=f"{POLICY_PATH.removeprefix('/')}changes/"
        f"{first.version - 1}..{last.version}?lang={last.language}",
    )
