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

Each error has a stable `code`, which programs and tests compare; `docs/reference.md` explains every code. A class has a
code of its own, and a place that raises it may give a more exact one. Renaming a code breaks programs that read it.

A message is in lower case, quotes the person's input in backticks, and never holds data that the terms do not permit.
"""

from typing import ClassVar, Literal

InputErrorCode = Literal[
    "invalid-input",
    "invalid-command",
    "conflicting-options",
    "missing-input",
    "input-too-long",
    "unknown-name",
    "invalid-name",
    "invalid-address",
    "invalid-time",
    "date-in-future",
    "date-in-past",
    "invalid-expiry",
    "invalid-visitor",
    "invalid-host",
    "host-missing",
    "invalid-field",
    "unknown-form",
    "unknown-evidence",
    "file-missing",
    "file-exists",
    "not-a-file",
    "not-a-backup",
    "file-unreadable",
    "file-unwritable",
    "file-unusable",
    "input-ended",
    "not-utf8",
    "invalid-receipt",
    "invalid-package",
    "password-length",
    "password-mismatch",
    "recipient-ambiguous",
    "approval-missing",
    "seal-not-permitted",
    "filter-not-applicable",
    "browser-missing",
]
"""Codes that say what is wrong with the input."""

ConfigurationErrorCode = Literal[
    "invalid-setting",
    "settings-missing",
    "country-database-unreadable",
    "invalid-toml",
    "unknown-key",
    "missing-key",
    "invalid-terms",
    "duplicate-name",
    "unknown-vocabulary",
    "unknown-compilation",
    "invalid-document",
    "unknown-reference",
    "document-missing",
    "duplicate-document",
    "invalid-log-format",
    "unknown-log-format",
    "log-not-followable",
]
"""Codes that say what is wrong with settings, terms, documents and log formats."""

RefusalCode = Literal[
    "refused",
    "no-version-in-force",
    "version-not-found",
    "version-not-in-force",
    "version-exists",
    "version-out-of-order",
    "version-in-effect",
    "notice-too-short",
    "weaker-terms",
    "placeholder",
    "findings-unacknowledged",
    "document-not-found",
    "notice-not-found",
    "consent-not-needed",
    "consent-not-found",
    "visitor-not-found",
    "visitor-ambiguous",
    "records-not-found",
    "record-count-mismatch",
    "submission-not-found",
    "field-not-found",
    "objection-not-found",
    "subject-objects",
    "not-collected",
    "weaker-category",
    "reader-not-found",
    "reader-not-permitted",
    "purpose-not-permitted",
    "automation-not-permitted",
    "processor-not-found",
    "contract-not-found",
    "contract-insufficient",
    "page-not-found",
    "delivery-failed",
    "page-unreachable",
    "release-not-found",
    "request-closed",
    "records-changed",
    "folder-not-empty",
    "backup-mismatch",
    "backup-too-old",
    "backup-incomplete",
    "log-format-not-detected",
    "log-unreadable",
    "log-mismatch",
    "log-in-use",
    "folder-in-use",
    "address-in-use",
    "query-not-allowed",
    "query-invalid",
    "query-too-long",
    "query-timeout",
    "query-failed",
    "query-too-large",
    "query-busy",
    "too-many-records",
]
"""Codes that say why the answer is no."""

DisclosureErrorCode = Literal[
    "not-permitted",
    "ground-without-evidence",
    "evidence-missing",
    "evidence-invalid",
    "evidence-mismatch",
    "recipient-not-permitted",
    "authorisation-not-found",
    "not-needed",
    "selection-too-broad",
    "reader-may-not-disclose",
    "wrong-password",
    "approver-is-requester",
    "already-approved",
]
"""Codes that say why nothing is disclosed."""

IntegrityErrorCode = Literal[
    "invalid-proof",
    "invalid-checkpoint",
    "invalid-note",
    "invalid-verifier-key",
    "invalid-sizes",
    "proof-mismatch",
    "receipt-mismatch",
    "package-mismatch",
    "package-expired",
    "package-too-large",
    "signature-invalid",
    "signature-missing",
    "checkpoint-missing",
    "checkpoint-mismatch",
    "checkpoint-damaged",
    "ledger-empty",
    "entry-not-found",
    "entry-unreadable",
    "ledger-damaged",
    "ledger-mismatch",
    "register-outdated",
    "seal-missing",
    "seal-invalid",
    "schema-mismatch",
    "store-unusable",
    "store-missing",
    "store-mismatch",
    "store-damaged",
    "store-outdated",
    "store-rows-mismatch",
    "disk-full",
    "disk-read-only",
    "disk-failed",
    "file-not-permitted",
    "too-many-open-files",
    "backup-damaged",
    "newer-store",
    "earlier-store",
    "version-mismatch",
    "file-unsafe",
    "key-missing",
    "key-damaged",
    "submission-unreadable",
    "server-mismatch",
    "server-gone",
    "server-failed",
    "path-too-long",
]
"""Codes that say what is damaged, missing or forged."""

ErrorCode = InputErrorCode | ConfigurationErrorCode | RefusalCode | DisclosureErrorCode | IntegrityErrorCode


class AvowalError(Exception):
    """What went wrong (`message`), what helps (`hint`, which may be empty), and the `code` for programs."""

    exit_status: ClassVar[int] = 1
    default_code: ClassVar[ErrorCode]

    def __init__(self, message: str, hint: str = "", *, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code


class InvalidInputError(AvowalError):
    """An argument, an option or a file is not valid."""

    exit_status = 2
    default_code: ClassVar[ErrorCode] = "invalid-input"


class SettingsError(InvalidInputError):
    """A setting in `avowal.toml` is not valid."""

    default_code: ClassVar[ErrorCode] = "invalid-setting"


class LogFormatError(InvalidInputError):
    """A log format, given by its name or as a template, is not valid."""

    default_code: ClassVar[ErrorCode] = "invalid-log-format"


class TermsError(InvalidInputError):
    """The terms, a document or the vocabulary are not valid."""

    default_code: ClassVar[ErrorCode] = "invalid-terms"


class RefusedError(AvowalError):
    """The input is valid, but the answer is no."""

    default_code: ClassVar[ErrorCode] = "refused"


class FormatDetectionError(RefusedError):
    """The format of a log could not be detected."""

    default_code: ClassVar[ErrorCode] = "log-format-not-detected"


class LogSourceError(RefusedError):
    """A log cannot be read, or does not continue what was read before."""

    default_code: ClassVar[ErrorCode] = "log-unreadable"


class QueryError(RefusedError):
    """An SQL query is not allowed, or cannot be answered."""

    default_code: ClassVar[ErrorCode] = "query-not-allowed"


class DisclosureError(RefusedError):
    """A disclosure is not permitted; `reason` is the word with which the refusal is recorded."""

    default_code: ClassVar[ErrorCode] = "not-permitted"

    def __init__(
        self, message: str, hint: str = "", reason: str = "terms", *, code: ErrorCode | None = None
    ) -> None:
        super().__init__(message, hint, code=code)
        self.reason = reason


class ProofError(RefusedError):
    """The ledger, a proof or a receipt is not valid."""

    default_code: ClassVar[ErrorCode] = "invalid-proof"


class StoreError(RefusedError):
    """Stored data cannot be opened, or contradicts itself."""

    default_code: ClassVar[ErrorCode] = "store-unusable"


class ServerGoneError(StoreError):
    """The process that owned the folder ended: trying again helps."""

    default_code: ClassVar[ErrorCode] = "server-gone"
