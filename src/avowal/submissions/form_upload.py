"""A form as it is handed over, field by field: text stays in memory, and files are sealed as they come in."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from avowal.policy.form import Form
from avowal.submissions.encryption import Incoming
from avowal.submissions.submission import Given, Upload

TEXT_MAX = 256 * 1024
"""How long all that is no file may be together, in bytes."""

FILES_MAX = 10
NAME_MAX = 255
HEAD_BYTES = 4096
"""By how much of a file its type is told."""


class NotTaken(Exception):  # noqa: N818  # an answer, not a fault
    """What was handed over is not taken: why, what to do, and the status that HTTP has for it."""

    def __init__(self, status: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.status, self.message, self.hint = status, message, hint


@dataclass
class HandedOver:
    """What is handed over by a form. What the form does not declare is kept nowhere."""

    form: Form
    begin: Callable[[], Incoming]
    """Begins a file."""
    _texts: dict[str, str] = field(default_factory=dict)
    _uploads: dict[str, Upload] = field(default_factory=dict)
    _files: list[Incoming] = field(default_factory=list)
    _length: int = 0

    @property
    def bytes_max(self) -> int:
        """How long a body may be that has it all, with what stands between its parts."""
        return 2 * TEXT_MAX + (FILES_MAX * self.form.bytes_max if self.form.files else 0)

    def weigh(self, length: int) -> None:
        """Count text before it is taken. Raises NotTaken where all of it together is too long."""
        self._length += length
        if self._length > TEXT_MAX:
            raise NotTaken(
                413, "the form is too long", f"send at most {TEXT_MAX // 1024} KiB beside its files"
            )

    def text(self, name: str, value: str) -> None:
        """Take the value of a field; several of one field stand in lines of their own."""
        if name in self.form.fields and name not in self.form.files:
            before = self._texts.get(name)
            self._texts[name] = f"{before}\n{value}" if before else value

    def file(self, name: str, called: str, kind: str) -> "File":
        """Begin a file. Raises NotTaken where the form has no such field, or takes no such type."""
        if name not in self.form.files:
            raise NotTaken(422, "the form has no such field for a file", "send the form as it is")
        if len(self._files) >= FILES_MAX:
            raise NotTaken(422, "these are too many files", f"send at most {FILES_MAX}")
        if kind not in self.form.types:
            raise _wrong_type(self.form, name)
        incoming = self.begin()
        self._files.append(incoming)
        return File(self, name, called, kind, incoming)

    def given(self) -> list[Given]:
        """Return what was given for the form's fields. Raises NotTaken where a field is missing."""
        found: list[Given] = []
        for name, category in self.form.fields.items():
            value = self._uploads.get(name) or self._texts.get(name, "").strip()
            if value:
                found.append(Given(name, category, value))
            elif name in self.form.required:
                raise NotTaken(422, f"`{name}` is missing", "fill it in, and send the form again")
        if not found:
            raise NotTaken(422, "the form is empty", "fill it in, and send it again")
        return found

    def close(self) -> None:
        """Take away the files that have no name by now."""
        for incoming in self._files:
            incoming.drop()


@dataclass
class File:
    """A file that comes in for a field."""

    of: HandedOver
    field: str
    called: str
    kind: str
    incoming: Incoming
    _head: bytes = b""

    def write(self, data: bytes) -> None:
        """Take more of it. Raises NotTaken where it is too large."""
        form = self.of.form
        if self.incoming.size + len(data) > form.bytes_max:
            raise NotTaken(413, f"`{self.field}` is too large", f"send at most {form.largest}")
        self._head += data[: max(0, HEAD_BYTES - len(self._head))]
        self.incoming.write(data)

    def end(self) -> None:
        """Take it as whole. Raises NotTaken where it begins as a file of another type does."""
        import puremagic  # with the first file: it reads its list of types

        found = []
        with suppress(puremagic.PureError, ValueError):
            found = puremagic.magic_string(self._head)
        if found and all(one.mime_type != self.kind for one in found):
            raise _wrong_type(self.of.form, self.field)
        plain = "".join(letter for letter in self.called if letter.isprintable())
        name = plain.replace("\\", "/").rpartition("/")[2][-NAME_MAX:]
        self.of._uploads[self.field] = Upload(self.incoming, self.incoming.finish(), name, self.kind)  # noqa: SLF001  # its own


def _wrong_type(form: Form, name: str) -> NotTaken:
    return NotTaken(415, f"`{name}` is of another type", f"send one of {', '.join(form.types)}")
