"""What seals what was handed over."""

from pathlib import Path

import msgspec
import pytest
from cryptography.fernet import Fernet

from avowal.submissions.encryption import SUBMISSION_KEYS_FILE, SubmissionCipher
from support.errors import raises_code

PLACE = "0" * 24, "message"


@pytest.fixture
def seal(tmp_path: Path) -> SubmissionCipher:
    return SubmissionCipher(tmp_path / "keys" / SUBMISSION_KEYS_FILE)


@pytest.mark.parametrize("value", ["", "Olá, 你好", {"name": "a.pdf", "size": 3}])
def test_what_was_sealed_opens_in_its_place(seal: SubmissionCipher, value: object) -> None:
    """Nothing of it can be read, and the same is sealed to something else each time."""
    sealed = seal.encrypt(value, *PLACE)
    assert seal.decrypt(sealed, *PLACE) == value
    assert seal.encrypt(value, *PLACE) != sealed
    assert b"pdf" not in sealed
    with raises_code("submission-unreadable"):
        seal.decrypt(sealed, PLACE[0], "other")


def test_whatever_was_changed_does_not_open(seal: SubmissionCipher) -> None:
    """Any of its bytes, or how many there are."""
    sealed = seal.encrypt("something", *PLACE)
    changed = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for one in [*changed, *(sealed[:end] for end in range(len(sealed))), sealed + b"\0"]:
        with raises_code("submission-unreadable"):
            seal.decrypt(one, *PLACE)


def test_another_key_opens_nothing(seal: SubmissionCipher, tmp_path: Path) -> None:
    """Keys stay in the file until they are forgotten."""
    sealed = seal.encrypt("something", *PLACE)
    other = SubmissionCipher(tmp_path / "other" / SUBMISSION_KEYS_FILE)
    other.encrypt("", *PLACE)
    with raises_code("submission-unreadable"):
        other.decrypt(sealed, *PLACE)
    seal.rotate_key()
    assert seal.decrypt(sealed, *PLACE) == "something"
    again = seal.reencrypt(sealed)
    seal.delete_old_keys()
    assert seal.decrypt(again, *PLACE) == "something"
    with raises_code("submission-unreadable"):
        seal.decrypt(sealed, *PLACE)


def test_what_was_sealed_as_fernet_opens_still(seal: SubmissionCipher) -> None:
    """And is sealed as all else once the key is turned."""
    seal.encrypt("", *PLACE)
    token = Fernet(seal.keys_file.read_text()).encrypt(msgspec.json.encode([PLACE, "something"]))
    assert seal.decrypt(token, *PLACE) == "something"
    seal.rotate_key()
    again = seal.reencrypt(token)
    assert again[0] != token[0]
    seal.delete_old_keys()
    assert seal.decrypt(again, *PLACE) == "something"
    with raises_code("submission-unreadable"):
        seal.decrypt(token, *PLACE)


def test_a_file_that_holds_no_keys_is_told(seal: SubmissionCipher) -> None:
    """Without its words, which may hold some of one."""
    seal.encrypt("", *PLACE)
    seal.keys_file.write_text("something secret")
    with raises_code("key-damaged") as told:
        seal.encrypt("", *PLACE)
    assert "secret" not in str(told.value)


def test_a_key_that_is_lost_is_not_made_anew_by_reading(seal: SubmissionCipher, tmp_path: Path) -> None:
    """Whoever puts it back has it: another one in its place would be lost then, with what it sealed."""
    sealed = seal.encrypt("told", *PLACE)
    seal.keys_file.rename(tmp_path / "backup")
    with raises_code("key-missing"):
        seal.decrypt(sealed, *PLACE)
    assert seal.is_key_missing
    (tmp_path / "backup").rename(seal.keys_file)
    assert seal.decrypt(sealed, *PLACE) == "told"
