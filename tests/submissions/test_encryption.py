"""The encryption of submissions, and the rotation of its keys."""

from pathlib import Path

import pytest

from avowal.submissions.encryption import SUBMISSION_KEYS_FILE, SubmissionCipher
from support.errors import raises_code

PLACE = "0" * 24, "message"


@pytest.fixture
def cipher(tmp_path: Path) -> SubmissionCipher:
    return SubmissionCipher(tmp_path / "keys" / SUBMISSION_KEYS_FILE)


@pytest.mark.parametrize("value", ["", "Olá, 你好", {"name": "a.pdf", "size": 3}])
def test_a_value_is_decrypted_only_for_its_submission_and_field(
    cipher: SubmissionCipher, value: object
) -> None:
    """A value is decrypted only for its submission and field; it has another ciphertext each time."""
    ciphertext = cipher.encrypt(value, *PLACE)
    assert cipher.decrypt(ciphertext, *PLACE) == value
    assert cipher.encrypt(value, *PLACE) != ciphertext
    assert b"pdf" not in ciphertext
    with raises_code("submission-unreadable"):
        cipher.decrypt(ciphertext, PLACE[0], "other")


def test_a_changed_ciphertext_is_refused(cipher: SubmissionCipher) -> None:
    """A ciphertext with any byte changed, missing or added is refused."""
    ciphertext = cipher.encrypt("something", *PLACE)
    changed_ciphertexts = [
        ciphertext[:index] + bytes([ciphertext[index] ^ 1]) + ciphertext[index + 1 :]
        for index in range(len(ciphertext))
    ]
    for changed_ciphertext in [
        *changed_ciphertexts,
        *(ciphertext[:end] for end in range(len(ciphertext))),
        ciphertext + b"\0",
    ]:
        with raises_code("submission-unreadable"):
            cipher.decrypt(changed_ciphertext, *PLACE)


def test_the_key_file_is_private(cipher: SubmissionCipher) -> None:
    """Only the owner may read the keys, also in the middle of a rotation."""

    def read_mode() -> int:
        return cipher.keys_file.stat().st_mode & 0o777

    cipher.encrypt("something", *PLACE)
    assert read_mode() == 0o600
    cipher.rotate_key()
    assert read_mode() == 0o600
    cipher.delete_old_keys()
    assert read_mode() == 0o600


def test_a_value_is_decrypted_only_with_its_key(cipher: SubmissionCipher, tmp_path: Path) -> None:
    """Another key decrypts nothing; after a rotation an old key works until it is deleted."""
    ciphertext = cipher.encrypt("something", *PLACE)
    other = SubmissionCipher(tmp_path / "other" / SUBMISSION_KEYS_FILE)
    other.encrypt("", *PLACE)
    with raises_code("submission-unreadable"):
        other.decrypt(ciphertext, *PLACE)
    cipher.rotate_key()
    assert cipher.decrypt(ciphertext, *PLACE) == "something"
    reencrypted = cipher.reencrypt(ciphertext)
    cipher.delete_old_keys()
    assert cipher.decrypt(reencrypted, *PLACE) == "something"
    with raises_code("submission-unreadable"):
        cipher.decrypt(ciphertext, *PLACE)


@pytest.mark.parametrize("content", ["", "something secret", "c2VjcmV0", "secret" * 8, "é"])
def test_a_damaged_key_file_is_reported_without_its_content(cipher: SubmissionCipher, content: str) -> None:
    """The error of a damaged key file does not show its content, which may be part of a key."""
    cipher.encrypt("", *PLACE)
    cipher.keys_file.write_text(content)
    with raises_code("key-damaged") as error_info:
        cipher.encrypt("", *PLACE)
    assert not content or content not in str(error_info.value)


def test_reading_does_not_replace_a_missing_key(cipher: SubmissionCipher, tmp_path: Path) -> None:
    """Reading with a missing key is an error and creates no new key, so the old one can be restored."""
    ciphertext = cipher.encrypt("something", *PLACE)
    cipher.keys_file.rename(tmp_path / "backup")
    with raises_code("key-missing"):
        cipher.decrypt(ciphertext, *PLACE)
    assert cipher.is_key_missing
    (tmp_path / "backup").rename(cipher.keys_file)
    assert cipher.decrypt(ciphertext, *PLACE) == "something"
