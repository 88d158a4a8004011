"""A form as it is handed over, field by field: text stays in memory, and files are sealed as they come in."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from avowal.policy.form import Form
from avowal.submissions.encryption import IncomingFile
from avowal.submissions.submission import FieldInput, UploadedFile

TEXT_BYTES_MAX = 256 * 1024
"""How long all that is no file may be together, in bytes."""

FILES_MAX = 10
FILE_NAME_CHARACTERS_MAX = 255
TYPE_DETECTION_BYTES = 4096
"""By how much of a file its type is told."""


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
    UNKNOWN_FIELD = "unknown-field"
    UNKNOWN_FORM = "unknown-form"
    WRONG_FILE_TYPE = "wrong-file-type"


class SubmissionRejected(Exception):  # noqa: N818  # an answer, not a fault
    """A submission is not accepted: why, what helps, and which field it is about, if any."""

    def __init__(self, code: RejectionCode, message: str, hint: str, field: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.field = code, message, hint, field


@dataclass
class FormUpload:
    """What is handed over by a form. What the form does not declare is kept nowhere."""

    form: Form
    create_incoming_file: Callable[[], IncomingFile]
    """Begins a file."""
    _texts: dict[str, str] = field(default_factory=dict)
    _uploads: dict[str, UploadedFile] = field(default_factory=dict)
    _files: list[IncomingFile] = field(default_factory=list)
    _length: int = 0

    @property
    def body_bytes_max(self) -> int:
        """How long a body may be that has it all, with what stands between its parts."""
        return 2 * TEXT_BYTES_MAX + (FILES_MAX * self.form.file_bytes_max if self.form.file_fields else 0)

    def count_text_bytes(self, byte_count: int) -> None:
        """Count text before it is taken. Raises NotTaken where all of it together is too long."""
        self._length += byte_count
        if self._length > TEXT_BYTES_MAX:
            raise SubmissionRejected(
                RejectionCode.FORM_TOO_LARGE,
                "the form is too long",
                f"send at most {TEXT_BYTES_MAX // 1024} KiB besides its files",
            )

    def add_text(self, name: str, value: str) -> None:
        """Take the value of a field; several of one field stand in lines of their own."""
        if name in self.form.fields and name not in self.form.file_fields:
            before = self._texts.get(name)
            self._texts[name] = f"{before}\n{value}" if before else value

    def begin_file(self, name: str, file_name: str, media_type: str) -> "FileUpload":
        """Begin a file. Raises NotTaken where the form has no such field, or takes no such type."""
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
        """Return what was given for the form's fields. Raises NotTaken where a field is missing."""
        found: list[FieldInput] = []
        for name, category in self.form.fields.items():
            value = self._uploads.get(name) or self._texts.get(name, "").strip()
            if value:
                found.append(FieldInput(name, category, value))
            elif name in self.form.required_fields:
                raise SubmissionRejected(
                    RejectionCode.MISSING_FIELD,
                    f"`{name}` is missing",
                    "fill it in, and send the form again",
                    name,
                )
        if not found:
            raise SubmissionRejected(
                RejectionCode.EMPTY_FORM, "the form is empty", "fill it in, and send it again"
            )
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard_files()

    def discard_files(self) -> None:
        """Take away the files that have no name by now."""
        for incoming in self._files:
            incoming.discard()


@dataclass
class FileUpload:
    """A file that comes in for a field."""

    form_upload: FormUpload
    field: str
    file_name: str
    media_type: str
    incoming_file: IncomingFile
    _head: bytes = b""

    def write(self, data: bytes) -> None:
        """Take more of it. Raises NotTaken where it is too large."""
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
        """Take it as whole. Raises NotTaken where it begins as a file of another type does."""
        import puremagic  # with the first file: it reads its list of types

        found = []
        with suppress(puremagic.PureError, ValueError):
            found = puremagic.magic_string(self._head)
        if found and all(one.mime_type != self.media_type for one in found):
            raise _wrong_type(self.form_upload.form, self.field)
        plain = "".join(letter for letter in self.file_name if letter.isprintable())
        name = plain.replace("\\", "/").rpartition("/")[2][-FILE_NAME_CHARACTERS_MAX:]
        upload = UploadedFile(self.incoming_file, self.incoming_file.finish(), name, self.media_type)
        self.form_upload._uploads[self.field] = upload  # noqa: SLF001  # its own


def _wrong_type(form: Form, name: str) -> SubmissionRejected:
    return SubmissionRejected(
        RejectionCode.WRONG_FILE_TYPE,
        f"`{name}` has a file type that is not accepted",
        f"send one of {', '.join(form.media_types)}",
        name,
    )
