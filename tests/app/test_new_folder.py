"""A new folder has the default settings and policy."""

from datetime import date
from pathlib import Path

import pytest

from avowal.app.new_folder import create_folder
from avowal.config import SETTINGS_FILE
from avowal.errors import RefusedError
from avowal.policy.terms import load_terms

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
