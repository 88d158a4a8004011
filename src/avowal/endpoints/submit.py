"""What visitors hand over: `POST /submit/FORM`, answered with a page that says that it arrived.

Files are sealed as they come in: nothing of them is on a disk in the clear, not even for a moment.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from prometheus_client import Counter
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from avowal.clock import utc_now
from avowal.collect import cookie
from avowal.collect.client_address import TrustedProxies
from avowal.collect.script_event import ClientIdentity, VisitorKeyFactory
from avowal.config import Settings
from avowal.errors import StoreError
from avowal.http.headers import PRIVATE_HEADERS
from avowal.http.language_choice import negotiate_language
from avowal.http.problem import error_response
from avowal.http.rate_limit import RateLimit
from avowal.http.sender import RequestSender, read_sender
from avowal.keep.enforcement import effective_versions
from avowal.logs.request_line import parse_host_name
from avowal.policy.form import Form
from avowal.policy.page import render_template
from avowal.register.register import Register, Version
from avowal.submissions.encryption import IncomingFile
from avowal.submissions.form_upload import FileUpload, FormUpload, SubmissionRejected
from avowal.submissions.submission import Submission, new_reference

MAX_FORM_FIELDS = 1_000
SUBMISSION_COUNTER = Counter(
    "avowal_submissions", "What was handed over by forms, by what became of it.", ["outcome"]
)


@dataclass
class SubmitEndpoint:
    """Takes what visitors hand over by the forms that the terms declare."""

    settings: Settings
    forms: Mapping[str, Form]
    register: Register
    visitor_keys: VisitorKeyFactory
    file_name_key: bytes
    """Under which the content of a file makes its name."""
    proxies: TrustedProxies
    _rate_limit: RateLimit = field(init=False)

    def __post_init__(self) -> None:
        self._rate_limit = RateLimit(self.settings.serve.submissions_per_minute)

    async def submit(self, request: Request) -> Response:
        """Take a submission: once it is answered, it is on the disk."""
        by = read_sender(self.proxies, request.scope)
        try:
            form, version = await run_in_threadpool(self._checked, request, by)
            reference = await self._take(request, by, form, version)
        except SubmissionRejected as why:
            SUBMISSION_COUNTER.labels("refused").inc()
            return error_response(why.http_status, why.message, why.hint, PRIVATE_HEADERS)
        except (StoreError, OSError):
            SUBMISSION_COUNTER.labels("unavailable").inc()
            return error_response(
                503, "this cannot be kept at the moment", "send it again later", PRIVATE_HEADERS
            )
        SUBMISSION_COUNTER.labels("kept").inc()
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"reference": reference}, 201, PRIVATE_HEADERS)
        return await run_in_threadpool(self._arrived, request, reference, version)

    def _arrived(self, request: Request, reference: str, version: Version) -> Response:
        """Say that it arrived, and by which reference it is found again: in no address, which servers would log."""
        languages = [page.language for page in self.register.documents(version.number)]
        language = negotiate_language(request.headers.get("accept-language", ""), languages)
        page = render_template("arrived.html", language, package="avowal.endpoints", reference=reference)
        return HTMLResponse(
            page, 201, {**PRIVATE_HEADERS, "Content-Language": language, "Vary": "Accept-Language"}
        )

    def _checked(self, request: Request, by: RequestSender) -> tuple[Form, Version]:
        """Return the form, and the version in force. Raises NotTaken where nothing is taken."""
        form = self.forms.get(request.path_params["form"])
        if form is None:
            raise SubmissionRejected(404, "the terms declare no such form", "look at the form's address")
        if not (by.is_same_origin or by.header(b"origin") in self.settings.serve.sites):
            raise SubmissionRejected(
                403, "the form was sent from another site", "send it from a page of this site"
            )
        if not self._rate_limit.allows(by.address):
            raise SubmissionRejected(429, "more was sent from there than one person sends", "wait a minute")
        versions = effective_versions(self.register.versions(), utc_now())
        if not versions or form.find_uncollected_categories(versions[-1].compiled_terms.collected_categories):
            raise SubmissionRejected(
                503, "the terms in force do not collect what the form asks for", "come back later"
            )
        return form, versions[-1]

    async def _take(self, request: Request, by: RequestSender, form: Form, version: Version) -> str:
        begin = partial(IncomingFile, self.register.submissions.folder, self.file_name_key)
        handed = FormUpload(form, begin)
        try:
            await _read(request, handed)
            given, now = handed.collect_inputs(), utc_now()
            visitor = self._visitor(by, version)
            submission = Submission(new_reference(), form.name, "form", visitor, version.number, now, now)
            await run_in_threadpool(self.register.submissions.record, submission, given)
        finally:
            await run_in_threadpool(handed.discard_files)
        return submission.reference

    def _visitor(self, by: RequestSender, version: Version) -> str | None:
        """Return the key by which the visitor's other records are known, as far as the terms let it in."""
        kept = version.compiled_terms.retention_ages("visitor-id")
        if not any(age != 0 for age in kept.values()):
            return None
        asked = cookie.read_cookie_state(by.headers, can_be_set=False)
        caller = ClientIdentity(
            by.address, by.header(b"user-agent"), "" if asked.privacy_signal else asked.identifier
        )
        lasting = "full" in kept and bool(version.compiled_terms.cookie_ages(cookie.COOKIE_NAME))
        host = parse_host_name(by.header(b"host")) or ""
        keys = self.visitor_keys.compute_keys(
            host, caller, time.time_ns() // 1_000, cookie_key_permitted=lasting
        )
        return f"{keys.visitor_id:016x}"


async def _read(request: Request, handed: FormUpload) -> None:
    """Read a form as it comes in. Raises NotTaken where it is none, or is not taken."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"multipart/form-data" and options.get(b"boundary"):
        parts = MultipartFormReader(handed)
        try:
            parser, length = MultipartParser(options[b"boundary"], parts.parser_callbacks()), 0
            async for data in request.stream():
                length += len(data)
                if length > handed.body_bytes_max:
                    raise SubmissionRejected(413, "the form is too long", "send less")
                await run_in_threadpool(parser.write, data)
            parser.finalize()
        except MultipartParseError:
            raise SubmissionRejected(400, "this is no whole form", "send it again") from None
        if not parts.is_complete:
            raise SubmissionRejected(400, "this is no whole form", "send it again")
    elif kind == b"application/x-www-form-urlencoded":
        body = b""
        async for data in request.stream():
            handed.count_text_bytes(len(data))
            body += data
        try:
            for name, value in parse_qsl(body.decode("utf-8", "replace"), max_num_fields=MAX_FORM_FIELDS):
                handed.add_text(name, value)
        except ValueError:
            raise SubmissionRejected(400, "the form has too many fields", "send the form as it is") from None
    else:
        hint = "send it as multipart/form-data or application/x-www-form-urlencoded"
        raise SubmissionRejected(415, "this is no form", hint)


@dataclass
class MultipartFormReader:
    """Takes a form of several parts (RFC 7578) as they come in."""

    upload: FormUpload
    is_complete: bool = False
    _header: bytes = b""
    _value: bytes = b""
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _text: bytes = b""
    _name: str = ""
    _file: FileUpload | None = None
    _left_out: bool = False

    def parser_callbacks(self) -> Any:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._more("_header", data[start:end]),
            "on_header_value": lambda data, start, end: self._more("_value", data[start:end]),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": lambda data, start, end: self._data(data[start:end]),
            "on_part_end": self._part_ends,
            "on_end": self._ends,
        }

    def _more(self, name: str, data: bytes) -> None:
        setattr(self, name, getattr(self, name) + data)

    def _begin(self) -> None:
        self._headers, self._text, self._file, self._left_out = {}, b"", None, False

    def _header_ends(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        called = options.get(b"filename", b"").decode("utf-8", "replace")
        self._left_out = b"filename" in options and not called  # a field for a file, left empty
        if called:
            kind, _ = parse_options_header(self._headers.get(b"content-type", b""))
            self._file = self.upload.begin_file(self._name, called, kind.decode("latin-1"))

    def _data(self, data: bytes) -> None:
        if self._file:
            self._file.write(data)
        else:
            self.upload.count_text_bytes(len(data))
            self._text += data

    def _part_ends(self) -> None:
        if self._file:
            self._file.finish()
        elif not self._left_out:
            self.upload.add_text(self._name, self._text.decode("utf-8", "replace"))

    def _ends(self) -> None:
        self.is_complete = True
