"""A submitted form, received field by field: text stays in memory, and files are encrypted as they arrive."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from avowal.policy.form import Form
from avowal.submissions.encryption import IncomingFile
from avowal.submissions.submission import FieldInput, UploadedFile

TEXT_BYTES_MAX = 256 * 1024
"""The greatest length of all text of a form together, in bytes."""

FILES_MAX = 10
FILE_NAME_CHARACTERS_MAX = 255
TYPE_DETECTION_BYTES = 4096
"""How many bytes at the start of a file its type is detected by."""


class RejectionCode(StrEnum):
    """Why a submission is rejected: stable codes, listed in `docs/reference.md`."""

    EMPTY_FORM = "empty-form"
    FILE_TOO_LARGE = "file-too-large"
    FORM_NOT_PERMITTED = "form-not-permitted"
    FORM_TOO_LARGE = "form-too-large"
    INCOMPLETE_FORM = "incomplete-form"
    MISSING_FIELD = "missing-field"
    NOT_A_FORM = "not-a-form"
    OTHER_ORIGIN = "other-origin"
    TOO_MANY_FIELDS = "too-many-fields"
    TOO_MANY_FILES = "too-many-files"
    TOO_MANY_REQUESTS = "too-many-requests"
    TOO_MANY_UPLOADS = "too-many-uploads"
    UNKNOWN_FIELD = "unknown-field"
    UNKNOWN_FORM = "unknown-form"
    WRONG_FILE_TYPE = "wrong-file-type"


class SubmissionRejected(Exception):  # noqa: N818  # an answer, not a fault
    """A submission is not accepted: the reason, the remedy, and the field that it is about, if any."""

    def __init__(self, code: RejectionCode, message: str, hint: str, field: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.field = code, message, hint, field


@dataclass
class FormUpload:
    """The fields of a form received so far. Fields that the form does not declare are discarded."""

    form: Form
    create_incoming_file: Callable[[], IncomingFile]
    """Creates the file that an upload is written to."""
    _texts: dict[str, str] = field(default_factory=dict)
    _uploads: dict[str, UploadedFile] = field(default_factory=dict)
    _files: list[IncomingFile] = field(default_factory=list)
    _text_bytes: int = 0

    @property
    def body_bytes_max(self) -> int:
        """The greatest length of the body of a request, with the separators between its parts."""
        return 2 * TEXT_BYTES_MAX + (FILES_MAX * self.form.file_bytes_max if self.form.file_fields else 0)

    def count_text_bytes(self, byte_count: int) -> None:
        """Count text before it is added. Raises SubmissionRejected if the text of the form is too long."""
        self._text_bytes += byte_count
        if self._text_bytes > TEXT_BYTES_MAX:
            raise SubmissionRejected(
                RejectionCode.FORM_TOO_LARGE,
                "the form is too long",
                f"send at most {TEXT_BYTES_MAX // 1024} KiB besides its files",
            )

    def add_text(self, name: str, value: str) -> None:
        """Add a value of a text field; several values of one field become lines."""
        if name in self.form.fields and name not in self.form.file_fields:
            text = self._texts.get(name)
            self._texts[name] = f"{text}\n{value}" if text else value

    def begin_file(self, name: str, file_name: str, media_type: str) -> "FileUpload":
        """Begin a file. Raises SubmissionRejected if the form does not accept such a field or type."""
        if name not in self.form.file_fields:
            raise SubmissionRejected(
                RejectionCode.UNKNOWN_FIELD,
                f"the form has no field `{name}` for a file",
                "send the form unchanged",
                name,
            )
        if len(self._files) >= FILES_MAX:
            raise SubmissionRejected(
                RejectionCode.TOO_MANY_FILES, "the form has too many files", f"send at most {FILES_MAX}"
            )
        if media_type not in self.form.media_types:
            raise _wrong_type(self.form, name)
        incoming = self.create_incoming_file()
        self._files.append(incoming)
        return FileUpload(self, name, file_name, media_type, incoming)

    def collect_inputs(self) -> list[FieldInput]:
        """Return the values of the form's fields. Raises SubmissionRejected if one is missing, or all are empty."""
        inputs: list[FieldInput] = []
        for name, category in self.form.fields.items():
            value = self._uploads.get(name) or self._texts.get(name, "").strip()
            if value:
                inputs.append(FieldInput(name, category, value))
            elif name in self.form.required_fields:
                raise SubmissionRejected(
                    RejectionCode.MISSING_FIELD,
                    f"`{name}` is missing",
                    "fill it in, and send the form again",
                    name,
                )
        if not inputs:
            raise SubmissionRejected(
                RejectionCode.EMPTY_FORM, "the form is empty", "fill it in, and send it again"
            )
        return inputs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard_files()

    def discard_files(self) -> None:
        """Delete the files that were not saved."""
        for incoming in self._files:
            incoming.discard()


@dataclass
class FileUpload:
    """A file that is being received for a field."""

    form_upload: FormUpload
    field: str
    file_name: str
    media_type: str
    incoming_file: IncomingFile
    _head: bytes = b""

    def write(self, data: bytes) -> None:
        """Append data. Raises SubmissionRejected if the file is too large."""
        form = self.form_upload.form
        if self.incoming_file.size_bytes + len(data) > form.file_bytes_max:
            raise SubmissionRejected(
                RejectionCode.FILE_TOO_LARGE,
                f"`{self.field}` is too large",
                f"send at most {form.file_size_limit}",
                self.field,
            )
        self._head += data[: max(0, TYPE_DETECTION_BYTES - len(self._head))]
        self.incoming_file.write(data)

    def finish(self) -> None:
        """Complete the file. Raises SubmissionRejected if it begins like a file of another type."""
        import puremagic  # imported with the first file, as it loads a list of types

        detected_types = []
        with suppress(puremagic.PureError, ValueError):
            detected_types = puremagic.magic_string(self._head)
        if detected_types and all(detected.mime_type != self.media_type for detected in detected_types):
            raise _wrong_type(self.form_upload.form, self.field)
        printable = "".join(letter for letter in self.file_name if letter.isprintable())
        name = printable.replace("\\", "/").rpartition("/")[2][-FILE_NAME_CHARACTERS_MAX:]
        upload = UploadedFile(self.incoming_file, self.incoming_file.finish(), name, self.media_type)
        self.form_upload._uploads[self.field] = upload  # noqa: SLF001  # the two classes belong together


def _wrong_type(form: Form, name: str) -> SubmissionRejected:
    return SubmissionRejected(
        RejectionCode.WRONG_FILE_TYPE,
        f"`{name}` has a file type that is not accepted",
        f"send one of {', '.join(form.media_types)}",
        name,
    )
