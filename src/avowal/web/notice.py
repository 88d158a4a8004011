"""The notice of a new version, as pages show it: its words in each language, and the part of a page that has them."""

from collections.abc import Mapping
from datetime import datetime
from importlib import resources

import msgspec

from avowal.clock import utc_now
from avowal.policy.language import direction, language
from avowal.policy.page import rendered
from avowal.register.notices import Notice, Showing
from avowal.register.register import Register
from avowal.web.policy_pages import PATH

STYLE = (resources.files("avowal.web") / "templates" / "notice.css").read_text(encoding="utf-8")


class Words(msgspec.Struct, frozen=True):
    """A notice in one language, as it is shown."""

    lang: str
    dir: str
    label: str
    text: str
    read: str
    close: str
    link: str
    """What differs, from where the script is."""


def words(register: Register, now: datetime) -> tuple[int, dict[str, Words]]:
    """Return the newest version whose notice is to be displayed, with its words by language; 0 where there is none."""
    displayed = [one for one in register.notices.all() if one.displayed(now.date())]
    newest = max((one.version for one in displayed), default=0)
    days = {one.number: one.effective_at for one in register.versions()}
    return newest, {one.language: _words(one, days[newest]) for one in displayed if one.version == newest}


def part(told: Mapping[str, Words], tag: str, base: str) -> str:
    """Return a notice in a language as a part of a page; `base` is where Avowal's own pages are."""
    return rendered("notice.html", tag, room="avowal.web", words=told[tag], base=base)


def recorded(register: Register, version: int) -> bool:
    """Return whether it is on record that pages showed the notice of a version."""
    return any(one.version == version and not one.attested for one in register.notices.showings())


def record(register: Register, version: int, place: str) -> None:
    """Record that pages showed it."""
    register.notices.shown(Showing(version, place, attested=False, recorded_at=utc_now()))


def _words(notice: Notice, effective_at: datetime) -> Words:
    spoken = language(notice.language)
    day = spoken.day(effective_at.date())
    about = spoken.say("Version {number}, in force from {day}.", number=notice.version, day=day)
    beside = spoken.say("Beside the one before: {relation}.", relation=notice.relation)
    return Words(
        notice.language,
        direction(notice.language),
        spoken.say("The privacy policy changes"),
        f"{spoken.say('The privacy policy changes')}: {about} {beside}",
        spoken.say("What changes"),
        spoken.say("Close"),
        f"{PATH.removeprefix('/')}changes/{notice.version - 1}..{notice.version}?lang={notice.language}",
    )
