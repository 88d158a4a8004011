"""Reads a form of several parts (RFC 7578) as it arrives."""

from dataclasses import dataclass, field
from typing import Any

from python_multipart.multipart import parse_options_header

from avowal.submissions.form_upload import FileUpload, FormUpload


@dataclass
class MultipartFormReader:
    """Passes the parts of a form on to its upload, as the parser finds them."""

    upload: FormUpload
    is_complete: bool = False
    _header_name: bytes = b""
    _header_value: bytes = b""
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _text: bytes = b""
    _field_name: str = ""
    _file: FileUpload | None = None
    _is_empty_file: bool = False
    """Whether the part is a field for a file that was left empty."""

    def parser_callbacks(self) -> Any:
        """Return the functions that the parser calls."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_to_header_name,
            "on_header_value": self._add_to_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._end_form,
        }

    def _begin_part(self) -> None:
        self._headers, self._text, self._file, self._is_empty_file = {}, b"", None, False

    def _add_to_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_to_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._field_name = options.get(b"name", b"").decode("utf-8", "replace")
        file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        self._is_empty_file = b"filename" in options and not file_name
        if file_name:
            media_type, _ = parse_options_header(self._headers.get(b"content-type", b""))
            self._file = self.upload.begin_file(self._field_name, file_name, media_type.decode("latin-1"))

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._file:
            self._file.write(data[start:end])
        else:
            self.upload.count_text_bytes(end - start)
            self._text += data[start:end]

    def _end_part(self) -> None:
        if self._file:
            self._file.finish()
        elif not self._is_empty_file:
            self.upload.add_text(self._field_name, self._text.decode("utf-8", "replace"))

    def _end_form(self) -> None:
        self.is_complete = True
