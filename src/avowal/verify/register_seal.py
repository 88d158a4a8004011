"""Check that the rows of the register are those that Avowal wrote, and that its file is neither damaged nor older."""

from collections.abc import Iterator

from avowal.errors import ProofError
from avowal.register.register import Register
from avowal.verify.verification import Finding, FindingCode

SEAL_CODES: tuple[FindingCode, ...] = ("seal-invalid", "seal-missing", "register-outdated")
"""The codes that findings about the seal share with the errors of commands."""


def check_seal(register: Register) -> Iterator[Finding]:
    """Compare the age of the register, and the rows of each table, with the seal (L9 in `docs/spec/ledger.md`)."""
    sealer = register.sealer
    try:
        # Before the register, whose number may grow meanwhile.
        published_sequence = sealer.read_published_sequence()
        with register.database.read() as connection:
            seal = sealer.read(connection)
            for table in sealer.find_changed_tables(connection, seal):
                yield Finding(
                    "register-rows-mismatch", f"the rows of `{table}` are not those that Avowal wrote"
                )
        sealer.check_age(seal, published_sequence)
    except ProofError as error:
        yield Finding.from_error(error, SEAL_CODES, "seal-invalid")


def check_register_file(register: Register) -> Iterator[Finding]:
    """Check the pages and indexes of the register's file."""
    with register.database.read() as connection:
        texts = [text for (text,) in connection.execute("PRAGMA integrity_check(1)")]
    if texts != ["ok"]:
        yield Finding("register-damaged", f"the register's file is damaged: {texts[0]}")


def check_keys(register: Register) -> Iterator[Finding]:
    """Check that each key that was used is there, and the same."""
    for name, problem in register.known_keys.find_changes():
        yield Finding("key-mismatch", f"`{name}` in the folder of keys {problem}")


def check_submissions(register: Register) -> Iterator[Finding]:
    """Check that the values and files of submissions are there and can be decrypted."""
    yield from (Finding("submission-unreadable", text) for text in register.submissions.find_unreadable())
