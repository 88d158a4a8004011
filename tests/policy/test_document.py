import re
from datetime import date
from importlib import resources
from pathlib import Path

import pytest

from avowal.errors import TermsError
from avowal.policy.document import load_document
from avowal.policy.markdown import render_sections
from avowal.policy.terms import load_terms
from support.errors import raises_code

SEED = Path(__file__).parents[3] / "shared" / "data" / "seed" / "privacy-policy.md"
DEFAULTS = Path(str(resources.files("avowal.policy") / "examples" / "unless-refused"))
OURS = DEFAULTS / "privacy-policy.en.md"

needs_seed = pytest.mark.skipif(not SEED.exists(), reason=f"the policy to be adopted is not there: {SEED}")


def save_document(tmp_path: Path, text: str) -> Path:
    """Save a document."""
    path = tmp_path / "document.md"
    path.write_text(text, encoding="utf-8")
    return path


@needs_seed
def test_an_existing_policy_loads_unchanged() -> None:
    """A policy that was not written for Avowal loads with its front matter in order and its date."""
    document = load_document(SEED)
    text = SEED.read_text(encoding="utf-8")
    keys = re.findall(r"^(\w+):", text.split("---\n")[1], re.MULTILINE)
    assert list(document.front_matter) == keys
    assert document.front_matter["share"] is False
    assert document.front_matter["version"] == 1
    assert (document.language, document.updated_on) == ("en", date(2015, 1, 15))
    assert text.endswith(document.body)
    sections = render_sections(document)
    assert len(sections) == 5
    assert all(html.startswith("<h2>") and text.partition("\n")[2].strip() for text, html in sections)


@needs_seed
def test_the_default_document_does_not_copy_the_existing_policy() -> None:
    """The default document shares no run of eight words with the existing policy."""

    def runs(path: Path) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", load_document(path).body.lower())
        return {tuple(words[start : start + 8]) for start in range(len(words) - 7)}

    assert not runs(SEED) & runs(OURS)


def test_the_default_document_matches_the_default_terms() -> None:
    """The default document has the date of the default terms, and a language that they declare."""
    document, terms = load_document(OURS), load_terms(DEFAULTS / "terms.toml")
    assert document.updated_on == terms.updated_on
    assert [document.language] == terms.languages


def test_unknown_front_matter_is_preserved(tmp_path: Path) -> None:
    """Unknown keys keep their values and order; a byte order mark and CRLF are accepted."""
    front = "---\r\nzebra: [1, {a: ü}]\r\ntitle: T\r\nlang: pt-br\r\napple: 2\r\n---\r\n"
    path = tmp_path / "document.md"
    path.write_bytes(("\ufeff" + front + "Text\r\n").encode())
    document = load_document(path)
    assert document.front_matter["zebra"] == [1, {"a": "ü"}]
    assert list(document.front_matter) == ["zebra", "title", "lang", "apple"]
    assert document.language == "pt-BR"
    assert document.body == "Text\n"


@pytest.mark.parametrize(
    ("text", "updated"),
    [
        ("Last updated on 2015-01-15.", date(2015, 1, 15)),
        ("*Updated: 2020-02-29*", date(2020, 2, 29)),
        ("Last updated on\n2015-01-15.", date(2015, 1, 15)),
        ("Last updated in spring.", None),
        ("", None),
    ],
)
def test_the_date_of_the_last_update_is_found(tmp_path: Path, text: str, updated: date | None) -> None:
    """The date of the last update is found in the text."""
    assert load_document(save_document(tmp_path, f"---\ntitle: T\n---\n{text}")).updated_on == updated


def test_headings_divide_a_document_into_sections(tmp_path: Path) -> None:
    """Each heading of the first two levels begins a section; a `#` in a code block does not."""
    text = "---\ntitle: T\n---\nBefore\n# One #\na\n\n```\n# no heading\n```\n### Two\nb\n#none\n## Three\n"
    sections = render_sections(load_document(save_document(tmp_path, text)))
    assert [text for text, _ in sections] == ["Before", "One\na\nTwo\nb\n#none", "Three"]
    assert "<code># no heading" in sections[1][1]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("## No front matter\n", "there is no front matter", "title"),
        ("", "there is no front matter", "title"),
        ("---\ntitle: T\n", "there is no front matter", "title"),
        ("Text\n---\ntitle: T\n---\n", "there is no front matter", "title"),
        ("---\n---\n", "not a mapping", "key: value"),
        ("---\n- a\n---\n", "not a mapping", "key: value"),
        ("---\ntitle: T\na: [1\n---\n", "line 4: the front matter is not YAML", "key: value"),
        ("---\ntitle: T\ndate: 2015-13-45\n---\n", "the front matter is not YAML", "key: value"),
        (
            "---\ntitle: !!python/object/apply:os.getcwd []\n---\n",
            "the front matter is not YAML",
            "key: value",
        ),
        ("---\nlang: en\n---\n", "no `title`", "title:"),
        ("---\ntitle: ' '\n---\n", "no `title`", "title:"),
        ("---\ntitle: T\nlang: english\n---\n", "`lang` is `english`", "`pt-BR`"),
        ("---\ntitle: T\nlang: no\n---\n", "`lang` is `False`", '`lang: "no"`'),
        ("---\ntitle: T\n---\nLast updated on 2015-13-45.", "`2015-13-45` is not a date", "month"),
    ],
)
def test_an_invalid_document_is_refused(tmp_path: Path, text: str, message: str, hint: str) -> None:
    """The error names the file and the problem, and its hint says what to write."""
    path = save_document(tmp_path, text)
    with pytest.raises(TermsError) as error_info:
        load_document(path)
    assert error_info.value.message.startswith(str(path))
    assert message in error_info.value.message
    assert hint in error_info.value.hint


def test_an_unreadable_document_is_refused(tmp_path: Path) -> None:
    """A missing document and one that is not UTF-8 are refused with a hint."""
    with raises_code("file-missing") as missing:
        load_document(tmp_path / "none.md")
    assert "avowal init" in missing.value.hint
    path = tmp_path / "latin.md"
    path.write_bytes("---\ntitle: Privé\n---\n".encode("latin-1"))
    with raises_code("not-utf8") as broken:
        load_document(path)
    assert "UTF-8" in broken.value.hint


def test_windows_line_ends_are_preserved(tmp_path: Path) -> None:
    """A document with CRLF keeps its text, and its parts are parsed as with LF."""
    text = "---\r\ntitle: A\r\nlang: en\r\n---\r\n## B\r\n\r\nLast updated on 2026-01-02\r\n"
    path = tmp_path / "document.md"
    path.write_bytes(text.encode())
    document = load_document(path)
    assert document.text == text
    assert document.body == "## B\n\nLast updated on 2026-01-02\n"
    assert (render_sections(document)[0][0].partition("\n")[0], document.updated_on) == (
        "B",
        date(2026, 1, 2),
    )
