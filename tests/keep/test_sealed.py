"""What seals what was handed over."""

from pathlib import Path

import msgspec
import pytest
from cryptography.fernet import Fernet

from avowal.errors import StoreError
from avowal.submissions.encryption import KEYS, Seal

PLACE = "0" * 24, "message"


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    return Seal(tmp_path / "keys" / KEYS)


@pytest.mark.parametrize("value", ["", "Olá, 你好", {"name": "a.pdf", "size": 3}])
def test_what_was_sealed_opens_in_its_place(seal: Seal, value: object) -> None:
    """Nothing of it can be read, and the same is sealed to something else each time."""
    sealed = seal.seal(value, *PLACE)
    assert seal.open(sealed, *PLACE) == value
    assert seal.seal(value, *PLACE) != sealed
    assert b"pdf" not in sealed
    with pytest.raises(StoreError, match="belongs to another"):
        seal.open(sealed, PLACE[0], "other")


def test_whatever_was_changed_does_not_open(seal: Seal) -> None:
    """Any of its bytes, or how many there are."""
    sealed = seal.seal("something", *PLACE)
    changed = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for one in [*changed, *(sealed[:end] for end in range(len(sealed))), sealed + b"\0"]:
        with pytest.raises(StoreError, match="cannot be opened"):
            seal.open(one, *PLACE)


def test_another_key_opens_nothing(seal: Seal, tmp_path: Path) -> None:
    """Keys stay in the file until they are forgotten."""
    sealed = seal.seal("something", *PLACE)
    other = Seal(tmp_path / "other" / KEYS)
    other.seal("", *PLACE)
    with pytest.raises(StoreError, match="cannot be opened"):
        other.open(sealed, *PLACE)
    seal.turn()
    assert seal.open(sealed, *PLACE) == "something"
    again = seal.again(sealed)
    seal.forget()
    assert seal.open(again, *PLACE) == "something"
    with pytest.raises(StoreError, match="cannot be opened"):
        seal.open(sealed, *PLACE)


def test_what_was_sealed_as_fernet_opens_still(seal: Seal) -> None:
    """And is sealed as all else once the key is turned."""
    seal.seal("", *PLACE)
    token = Fernet(seal.path.read_text()).encrypt(msgspec.json.encode([PLACE, "something"]))
    assert seal.open(token, *PLACE) == "something"
    seal.turn()
    again = seal.again(token)
    assert again[0] != token[0]
    seal.forget()
    assert seal.open(again, *PLACE) == "something"
    with pytest.raises(StoreError, match="cannot be opened"):
        seal.open(token, *PLACE)


def test_a_file_that_holds_no_keys_is_told(seal: Seal) -> None:
    """Without its words, which may hold some of one."""
    seal.seal("", *PLACE)
    seal.path.write_text("something secret")
    with pytest.raises(StoreError, match="holds no keys") as told:
        seal.seal("", *PLACE)
    assert "secret" not in str(told.value)


def test_a_key_that_is_lost_is_not_made_anew_by_reading(seal: Seal, tmp_path: Path) -> None:
    """Whoever puts it back has it: another one in its place would be lost then, with what it sealed."""
    sealed = seal.seal("told", *PLACE)
    seal.path.rename(tmp_path / "backup")
    with pytest.raises(StoreError, match="is missing"):
        seal.open(sealed, *PLACE)
    assert seal.lost
    (tmp_path / "backup").rename(seal.path)
    assert seal.open(sealed, *PLACE) == "told"
