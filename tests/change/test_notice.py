"""Notices: what changes, told from the witnesses, and the days on which it is displayed."""

from datetime import date, datetime

from avow.change.notice import notices
from avow.keep.register import Version
from avow.policy.terms import Collect, Terms, compile_terms


def version(number: int, published: datetime, effective: datetime, **keep: str) -> Version:
    line = Collect(["ip-address"], keep, ["abuse"])
    compiled = compile_terms(Terms(1, "A", "a@example.org", date(2026, 1, 1), ["en"], [line]))
    return Version(number, compiled.identity, compiled.canonical().decode(), "", effective, published)


def moment(month: int, day: int) -> datetime:
    return datetime(2026, month, day)  # noqa: DTZ001  # UTC without a zone


def test_each_version_but_the_first_has_a_notice() -> None:
    """It is displayed from its publication to the thirtieth day after it takes effect, with what is looser and stricter."""
    versions = [
        version(1, moment(4, 1), moment(1, 1), full="7 days", prefix="90 days"),
        version(2, moment(5, 1), moment(5, 31), full="3 days", prefix="365 days"),
        version(3, moment(7, 1), moment(7, 1), full="3 days"),
    ]
    assert notices(versions[:1]) == []
    first, second = notices(versions)
    assert (first.version, first.relation) == (2, "incomparable")
    assert first.looser == ["ip-address, prefix: kept 365 days, was 90 days; for abuse"]
    assert first.stricter == ["ip-address, full: kept 3 days, was 7 days; for abuse"]
    assert (first.first_day, first.last_day) == (date(2026, 5, 1), date(2026, 6, 30))
    assert [first.displayed(date(2026, *day)) for day in ((4, 30), (5, 1), (6, 30), (7, 1))] == [
        False,
        True,
        True,
        False,
    ]
    assert (second.relation, second.looser) == ("more protective", [])
