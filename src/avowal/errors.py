"""Every error that Avowal raises on purpose.

::

    AvowalError
    ├── InvalidInputError             an argument, an option or a file is not valid: exit status 2
    │   ├── SettingsError             a setting in `avowal.toml` is not valid
    │   ├── LogFormatError            a log format, given by its name or as a template, is not valid
    │   └── TermsError                the terms, a document or the vocabulary are not valid
    └── RefusedError                  the input is valid, but the answer is no: exit status 1
        ├── FormatDetectionError      the format of a log could not be detected
        ├── LogSourceError            a log cannot be read, or does not continue what was read before
        ├── QueryError                an SQL query is not allowed, or cannot be answered
        ├── DisclosureError           a disclosure is not permitted; the attempt is recorded
        ├── ProofError                the ledger, a proof or a receipt is not valid
        └── StoreError                stored data cannot be opened, or contradicts itself
            └── ServerGoneError       the process that owned the folder ended: trying again helps

A message is in lower case, quotes the person's input in backticks, and never holds data that the terms do not permit.
"""


class AvowalError(Exception):
    """What went wrong (`message`), and what helps (`hint`)."""

    exit_status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInputError(AvowalError):
    """An argument, an option or a file is not valid."""

    exit_status = 2


class SettingsError(InvalidInputError):
    """A setting in `avowal.toml` is not valid."""


class LogFormatError(InvalidInputError):
    """A log format, given by its name or as a template, is not valid."""


class TermsError(InvalidInputError):
    """The terms, a document or the vocabulary are not valid."""


class RefusedError(AvowalError):
    """The input is valid, but the answer is no."""


class FormatDetectionError(RefusedError):
    """The format of a log could not be detected."""


class LogSourceError(RefusedError):
    """A log cannot be read, or does not continue what was read before."""


class QueryError(RefusedError):
    """An SQL query is not allowed, or cannot be answered."""


class DisclosureError(RefusedError):
    """A disclosure is not permitted; `reason` is the word with which the refusal is recorded."""

    def __init__(self, message: str, hint: str = "", reason: str = "terms") -> None:
        super().__init__(message, hint)
        self.reason = reason


class ProofError(RefusedError):
    """The ledger, a proof or a receipt is not valid."""


class StoreError(RefusedError):
    """Stored data cannot be opened, or contradicts itself."""


class ServerGoneError(StoreError):
    """The process that owned the folder ended: trying again helps."""
