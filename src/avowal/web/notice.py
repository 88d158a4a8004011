"""The notice of a new version, as pages show it: its words in each language, and the part of a page that has them."""

from collections.abc import Mapping
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
    """A notice in one language, as it is shown."""

    lang: str
    dir: str
    label: str
    text: str
    read: str
    close: str
    link: str
    """What differs, from where the script is."""


def find_current_notice(register: Register, now: datetime) -> tuple[int, dict[str, NoticeText]]:
    """Return the newest version whose notice is to be displayed, with its words by language; 0 where there is none."""
    displayed = [one for one in register.notices.all() if one.is_displayed(now.date())]
    newest = max((one.version for one in displayed), default=0)
    days = {one.number: one.effective_at for one in register.versions()}
    return newest, {one.language: _words(one, days[newest]) for one in displayed if one.version == newest}


def render_notice(texts: Mapping[str, NoticeText], language_tag: str, base_url: str) -> str:
    """Return a notice in a language as a part of a page; `base` is where Avowal's own pages are."""
    return render_template(
        "notice.html", language_tag, package="avowal.web", words=texts[language_tag], base=base_url
    )


def is_display_recorded(register: Register, version: int) -> bool:
    """Return whether it is on record that pages showed the notice of a version."""
    return any(one.version == version and not one.attested for one in register.notices.displays())


def record_display(register: Register, version: int, place: str) -> None:
    """Record that pages showed it."""
    register.notices.record_display(NoticeDisplay(version, place, attested=False, recorded_at=utc_now()))


def _words(notice: Notice, effective_at: datetime) -> NoticeText:
    spoken = find_language(notice.language)
    day = spoken.format_day(effective_at.date())
    about = spoken.translate("Version {number}, in force from {day}.", number=notice.version, day=day)
    beside = spoken.translate("Beside the one before: {relation}.", relation=notice.relation)
    return NoticeText(
        notice.language,
        text_direction(notice.language),
        spoken.translate("The privacy policy changes"),
        f"{spoken.translate('The privacy policy changes')}: {about} {beside}",
        spoken.translate("What changes"),
        spoken.translate("Close"),
        f"{POLICY_PATH.removeprefix('/')}changes/{notice.version - 1}..{notice.version}?lang={notice.language}",
    )
