"""Notices: what changes, and the days on which the notice is displayed."""

from datetime import date, datetime

from avowal.change.notice import build_notices
from avowal.policy.terms import CollectRule, Terms, compile_terms
from avowal.register.register import Version


def version(number: int, published: datetime, effective: datetime, **keep: str) -> Version:
    line = CollectRule(["ip-address"], keep, ["abuse"])
    compiled = compile_terms(Terms(1, "A", "a@example.org", date(2026, 1, 1), ["en"], [line]))
    return Version(number, compiled.identity, compiled.encode_canonical().decode(), "", effective, published)


def moment(month: int, day: int) -> datetime:
    return datetime(2026, month, day)  # noqa: DTZ001  # UTC without a zone


V1 = version(1, moment(4, 1), moment(1, 1), full="7 days", prefix="90 days")
V2 = version(2, moment(5, 1), moment(5, 31), full="3 days", prefix="365 days")
V3 = version(3, moment(7, 1), moment(7, 1), full="3 days")


def test_a_notice_says_what_changes_and_when_it_is_displayed() -> None:
    """A notice is displayed from publication to the thirtieth day after the version takes effect."""
    (first,) = build_notices(V1, V2, ["en"])
    assert (first.version, first.language, first.relation) == (2, "en", "incomparable")
    assert first.looser == ["ip-address, prefix: kept 365 days, was 90 days; for abuse"]
    assert first.stricter == ["ip-address, full: kept 3 days, was 7 days; for abuse"]
    assert (first.first_day, first.last_day) == (date(2026, 5, 1), date(2026, 6, 30))
    assert [first.is_displayed(date(2026, *day)) for day in ((4, 30), (5, 1), (6, 30), (7, 1))] == [
        False,
        True,
        True,
        False,
    ]
    (second,) = build_notices(V2, V3, ["en"])
    assert (second.relation, second.looser) == ("more protective", [])


def test_a_notice_is_written_in_each_language() -> None:
    """The same facts are written in each available language, and in English for any other."""
    english, portuguese, chinese, other = build_notices(V1, V2, ["en", "pt-BR", "zh-TW", "tlh"])
    assert (portuguese.relation, chinese.relation) == ("incomparável", "無法比較")
    assert portuguese.looser == [
        "endereço IP, rede: guardado: 365 dias, antes 90 dias; para prevenção de abuso"
    ]
    assert chinese.looser == ["IP 位址、網段：保留期間 365 天，原為 90 天；用途：防止濫用"]  # noqa: RUF001  # Chinese
    assert (other.language, other.looser) == ("tlh", english.looser)
