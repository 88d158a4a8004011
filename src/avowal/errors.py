"""Every error that Avowal raises on purpose.

::

    AvowalError
    ├── MisuseError          the call is wrong: exit status 2
    │   ├── SettingsError    `avowal.toml` does not check
    │   ├── LayoutError      the format of a log, as it was named or pasted, is none
    │   └── TermsError       `policy/terms.toml`, a document or the vocabulary does not check
    └── RefusedError         the call is right, and the answer is no: exit status 1
        ├── FormatError      a log is of no known format
        ├── SourceError      a log cannot be read, or is not the growth of what is known
        ├── QueryError       somebody's own SQL asks for what it may not, or cannot be answered
        ├── DisclosureError  something may not be released; that it was tried is recorded
        ├── ProofError       the ledger, a proof, or what they speak of does not hold
        └── StoreError       the store cannot be opened, or what it keeps does not agree
            └── OwnerGoneError   the process that owned the folder ended: asking again helps

A message is in lower case, holds the person's own words in backticks, and never what the terms do not let in.
"""


class AvowalError(Exception):
    """Say what is wrong, and how to mend it."""

    exit_status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class MisuseError(AvowalError):
    """The call is wrong."""

    exit_status = 2


class SettingsError(MisuseError):
    """A setting in `avowal.toml` does not check."""


class LayoutError(MisuseError):
    """The format of a log, as it was named or pasted, is none."""


class TermsError(MisuseError):
    """The terms, a document or the vocabulary do not check."""


class RefusedError(AvowalError):
    """The call is right, and the answer is no."""


class FormatError(RefusedError):
    """A log is of no known format."""


class SourceError(RefusedError):
    """A log cannot be read, or is not the growth of what is known."""


class QueryError(RefusedError):
    """Somebody's own SQL asks for what it may not, or cannot be answered."""


class DisclosureError(RefusedError):
    """Something may not be released: `why` is the word that the record of the refusal has."""

    def __init__(self, message: str, hint: str = "", reason: str = "terms") -> None:
        super().__init__(message, hint)
        self.reason = reason


class ProofError(RefusedError):
    """The ledger, a proof, or what they speak of does not hold."""


class StoreError(RefusedError):
    """The store cannot be opened, or what it keeps does not agree."""


class OwnerGoneError(StoreError):
    """The process that owned the folder ended: asking again helps."""
