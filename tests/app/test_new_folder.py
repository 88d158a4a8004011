"""A new folder has the default settings and policy."""

from datetime import date
from pathlib import Path

import pytest

from avowal.app.new_folder import create_folder, list_examples
from avowal.change.draft import load_documents
from avowal.config import SETTINGS_FILE
from avowal.errors import InvalidInputError, RefusedError
from avowal.policy.prose_check import check_prose
from avowal.policy.terms import compile_terms, load_terms
from avowal.policy.terms_warnings import find_warnings

TODAY = date(2027, 3, 1)


def test_the_policy_is_in_force_from_today(tmp_path: Path) -> None:
    """All files are created, and the terms are dated with the given day."""
    files = create_folder(tmp_path / "site", TODAY)
    assert all(path.is_file() for path in files)
    assert load_terms(tmp_path / "site" / "policy" / "terms.toml").updated_on == TODAY
    assert (tmp_path / "site" / "keys").stat().st_mode & 0o777 == 0o700


def test_an_existing_file_is_not_replaced(tmp_path: Path) -> None:
    """If one of the files exists, nothing is written."""
    (tmp_path / SETTINGS_FILE).write_text("")
    with pytest.raises(RefusedError) as error_info:
        create_folder(tmp_path, TODAY)
    assert error_info.value.code == "file-exists"
    assert [path.name for path in tmp_path.iterdir()] == [SETTINGS_FILE]


@pytest.mark.parametrize("example", ["", *list_examples()])
def test_each_policy_is_valid_and_matches_its_document(tmp_path: Path, example: str) -> None:
    """The default policy and each example have no warning, and a document in each of their languages."""
    create_folder(tmp_path / "site", TODAY, example)
    path = tmp_path / "site" / "policy" / "terms.toml"
    terms, documents = load_terms(path), load_documents(path)
    assert find_warnings(terms) == []
    assert set(documents) == set(terms.languages)
    assert all(
        check_prose(document, terms).findings == check_prose(document, terms).omissions == []
        for document in documents.values()
    )


def test_an_unknown_example_is_refused(tmp_path: Path) -> None:
    """The error names the nearest example, and nothing is written."""
    with pytest.raises(InvalidInputError) as error_info:
        create_folder(tmp_path, TODAY, "unless-refuse")
    assert "unless-refused" in error_info.value.hint
    assert not [*tmp_path.iterdir()]


def test_the_default_terms_set_no_cookie_and_keep_addresses_for_abuse_alone(tmp_path: Path) -> None:
    """Nothing identifies a visitor for longer than a day, and only the purpose `abuse` sees an address, for 7 days."""
    create_folder(tmp_path / "site", TODAY)
    compiled = compile_terms(load_terms(tmp_path / "site" / "policy" / "terms.toml"))
    assert not [cell for cell in compiled.cells if cell.cookie_name]
    assert compiled.collection_purposes("ip-address") == ["abuse"]
    assert compiled.retention_ages("ip-address")["full"] == 7 * 86_400
    assert [*compiled.retention_ages("visitor-id")] == ["day"]


def test_documents_are_written_in_the_languages_that_are_asked_for(tmp_path: Path) -> None:
    """Each is declared in the terms, and another language is refused with those that there are."""
    create_folder(tmp_path / "site", TODAY, languages=["en", "pt-BR", "zh-TW"])
    path = tmp_path / "site" / "policy" / "terms.toml"
    assert load_terms(path).languages == ["en", "pt-BR", "zh-TW"]
    assert set(load_documents(path)) == {"en", "pt-BR", "zh-TW"}
    with pytest.raises(InvalidInputError) as error_info:
        create_folder(tmp_path / "other", TODAY, languages=["fr"])
    assert "pt-BR" in error_info.value.hint
