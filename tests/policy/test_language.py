"""The texts of the terms in the languages of their readers."""

import io
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from avowal.policy.language import ENGLISH, find_language, text_direction

ROOT = Path(__file__).parents[2]
CATALOGUES = sorted((ROOT / "src" / "avowal" / "policy" / "languages").glob("*.po"))


def test_every_text_is_translated() -> None:
    """No catalogue lacks a text or has a text that is not used."""
    tool = [sys.executable, str(ROOT / "tools" / "words.py"), "--check"]
    result = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, ""), result.stdout + result.stderr
    assert [path.stem for path in CATALOGUES] == ["pt_BR", "zh_TW"]


def test_missing_and_unused_translations_are_reported(tmp_path: Path) -> None:
    """The tool reports a text without translation, and a translation without text."""
    catalogue = CATALOGUES[0].read_text(encoding="utf-8")
    changed_catalogue = catalogue.replace('msgid "forever"', 'msgid "for good"')
    (tmp_path / CATALOGUES[0].name).write_text(changed_catalogue, encoding="utf-8")
    script = f"import words; words.LANGUAGES = words.Path({str(tmp_path)!r}); raise SystemExit(words.main())"
    result = subprocess.run(
        [sys.executable, "-c", script, "--check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT / "tools",
    )
    assert result.returncode == 1
    assert "missing: (None, 'forever')" in result.stdout
    assert "unsaid: (None, 'for good')" in result.stdout


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_translations_have_the_placeholders_of_their_texts(path: Path) -> None:
    """Each `{name}` of a text is in its translation, and no other is."""
    for message in read_po(io.BytesIO(path.read_bytes())):
        texts, written = (one if isinstance(one, tuple) else (one,) for one in (message.id, message.string))
        for translated in written if message.id else ():
            values = {value for text in texts for value in re.findall(r"\{\w+\}", str(text))}
            assert set(re.findall(r"\{\w*\}", str(translated))) == values, message.id


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ("en", "en"),
        ("en-GB", "en"),
        ("pt-BR", "pt-BR"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("zh-TW", "zh-TW"),
        ("zh-HK", "zh-TW"),
        ("zh-Hant", "zh-TW"),
        ("zh-CN", "en"),
        ("de", "en"),
        ("tlh", "en"),
        ("x", "en"),
    ],
)
def test_the_nearest_available_language_is_chosen(requested: str, expected: str) -> None:
    """A regional variety is near enough, and another script is not; the fallback is English."""
    assert find_language(requested).tag == expected


def test_numbers_dates_and_lists_follow_the_language() -> None:
    """Plurals, thousands, dates and the separators of lists follow the language."""
    days = [
        find_language(tag).translate_count("{n} day", "{n} days", number)
        for tag in ("en", "pt-BR", "zh-TW")
        for number in (1, 1234)
    ]
    assert days == ["1 day", "1,234 days", "1 dia", "1.234 dias", "1 天", "1,234 天"]
    formatted_days = [find_language(tag).format_day(date(2026, 11, 22)) for tag in ("en", "pt-BR", "zh-TW")]
    assert formatted_days == ["November 22, 2026", "22 de novembro de 2026", "2026年11月22日"]
    assert find_language("zh-TW").translate_words("category", ["browser", "status"]) == "瀏覽器、回應狀態"
    assert ENGLISH.translate_words("category", ["browser", "status"]) == "browser, status"


def test_placeholders_in_values_are_not_replaced() -> None:
    """A value that contains braces is inserted unchanged."""
    assert ENGLISH.translate("cookie {name}", name="{now}") == "cookie {now}"


@pytest.mark.parametrize(
    ("tag", "expected"), [("ar", "rtl"), ("he-IL", "rtl"), ("ur", "rtl"), ("en", "ltr"), ("tlh", "ltr")]
)
def test_languages_have_a_text_direction(tag: str, expected: str) -> None:
    """Languages that are written from right to left are known."""
    assert text_direction(tag) == expected
