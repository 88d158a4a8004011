"""`POST /submit/FORM`: what visitors submit, answered with a page that confirms it.

Files are encrypted as they arrive: nothing of them is ever on disk in the clear.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from urllib.parse import parse_qsl

from prometheus_client import Counter
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from avowal.clock import to_microseconds, utc_now
from avowal.collect import cookie
from avowal.collect.client_address import TrustedProxies
from avowal.collect.script_event import ClientIdentity, VisitorKeyFactory
from avowal.config import Settings
from avowal.endpoints.multipart_form import MultipartFormReader
from avowal.endpoints.upload_slots import UPLOAD_SECONDS_MAX, UploadSlot, UploadSlots
from avowal.errors import StoreError
from avowal.http.headers import PRIVATE_HEADERS
from avowal.http.language_choice import negotiate_language
from avowal.http.problem import ProblemCode, is_from_person, problem_page, problem_response
from avowal.http.rate_limit import RateLimit, find_network
from avowal.http.sender import RequestSender, read_sender
from avowal.keep.enforcement import build_admission_rules, effective_versions
from avowal.policy.form import Form
from avowal.policy.page import render_template
from avowal.register.register import Register, Version
from avowal.submissions.encryption import IncomingFile
from avowal.submissions.form_upload import FormUpload, RejectionCode, SubmissionRejected
from avowal.submissions.submission import Submission, new_reference
from avowal.url_parts import parse_host_name

MAX_FORM_FIELDS = 1_000
STATUS_BY_CODE = {
    RejectionCode.EMPTY_FORM: 422,
    RejectionCode.FILE_TOO_LARGE: 413,
    RejectionCode.FORM_NOT_PERMITTED: 503,
    RejectionCode.FORM_TOO_LARGE: 413,
    RejectionCode.INCOMPLETE_FORM: 400,
    RejectionCode.MISSING_FIELD: 422,
    RejectionCode.NOT_A_FORM: 415,
    RejectionCode.OTHER_ORIGIN: 403,
    RejectionCode.TOO_MANY_FIELDS: 400,
    RejectionCode.TOO_MANY_FILES: 422,
    RejectionCode.TOO_MANY_UPLOADS: 503,
    RejectionCode.UNKNOWN_FIELD: 422,
    RejectionCode.UNKNOWN_FORM: 404,
    RejectionCode.WRONG_FILE_TYPE: 415,
}
SUBMISSION_COUNTER = Counter(
    "avowal_submissions", "Submitted forms: accepted, rejected, or unavailable storage.", ["outcome"]
)


@dataclass
class SubmitEndpoint:
    """Accepts the forms of the version in force."""

    settings: Settings
    register: Register
    visitor_keys: VisitorKeyFactory
    file_name_key: bytes
    """The key under which a file's content determines its name on disk."""
    proxies: TrustedProxies
    slots: UploadSlots = field(default_factory=UploadSlots)
    _rate_limit: RateLimit = field(init=False)

    def __post_init__(self) -> None:
        self._rate_limit = RateLimit(self.settings.serve.submissions_per_minute)

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/submit/{form:str}", self.submit, methods=["POST"])]

    async def submit(self, request: Request) -> Response:
        """Accept a submission: it is on disk before the response is sent."""
        sender = read_sender(self.proxies, request.scope)
        if wait_seconds := self._rate_limit.count(find_network(sender.address)):
            SUBMISSION_COUNTER.labels("rejected").inc()
            code, hint = RejectionCode.TOO_MANY_REQUESTS, f"wait {wait_seconds} seconds"
            response = await self._reject(request, 429, code, "this address sent too many forms", hint)
            response.headers["Retry-After"] = str(wait_seconds)
            return response
        try:
            form = await run_in_threadpool(self._find_form, request, sender)
            reference, version = await self._store(request, sender, form)
        except SubmissionRejected as rejection:
            SUBMISSION_COUNTER.labels("rejected").inc()
            status = STATUS_BY_CODE[rejection.code]
            return await self._reject(
                request, status, rejection.code, rejection.message, rejection.hint, rejection.field
            )
        except (StoreError, OSError):
            SUBMISSION_COUNTER.labels("unavailable").inc()
            return await self._reject(
                request,
                503,
                ProblemCode.UNAVAILABLE,
                "the submission cannot be stored at the moment",
                "send it again later",
            )
        SUBMISSION_COUNTER.labels("accepted").inc()
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"reference": reference}, 201, PRIVATE_HEADERS)
        return await run_in_threadpool(self._confirm, request, reference, version)

    async def _reject(
        self, request: Request, status: int, code: str, detail: str, hint: str, form_field: str = ""
    ) -> Response:
        """Return a page that says what is wrong for people, a problem for programs."""
        if not is_from_person(request):
            return problem_response(status, code, detail, hint, PRIVATE_HEADERS)
        languages = await run_in_threadpool(self._languages)
        return problem_page(request, status, code, languages, field=form_field, headers=PRIVATE_HEADERS)

    def _languages(self) -> list[str]:
        """Return the languages of the policy in force; none if it cannot be read."""
        try:
            versions = effective_versions(self.register.versions(), utc_now())
        except (StoreError, OSError):
            return []
        return versions[-1].terms.languages if versions else []

    def _confirm(self, request: Request, reference: str, version: Version) -> Response:
        """Confirm a submission with its reference, which is in no URL, as servers would log it."""
        languages = [page.language for page in self.register.documents(version.number)]
        language = negotiate_language(request.headers.get("accept-language", ""), languages)
        page = render_template("arrived.html", language, package="avowal.endpoints", reference=reference)
        return HTMLResponse(
            page, 201, {**PRIVATE_HEADERS, "Content-Language": language, "Vary": "Accept-Language"}
        )

    def _find_form(self, request: Request, sender: RequestSender) -> Form:
        """Return the form. Raises SubmissionRejected if nothing may be submitted."""
        if not (sender.is_same_origin or sender.header(b"origin") in self.settings.serve.allowed_origins):
            raise SubmissionRejected(
                RejectionCode.OTHER_ORIGIN,
                "the form was sent from another site",
                "send it from a page of this site",
            )
        return self._find_form_in_force(request.path_params["form"], utc_now())[0]

    def _find_form_in_force(self, name: str, now: datetime) -> tuple[Form, Version]:
        """Return the form that the version in force declares, and the version. Raises SubmissionRejected if none."""
        self.register.await_publication()
        versions = effective_versions(self.register.versions(), now)
        form = versions[-1].forms.get(name) if versions else None
        if form is None:
            raise SubmissionRejected(
                RejectionCode.UNKNOWN_FORM,
                "the terms in force declare no such form",
                "check the form's address",
            )
        if form.find_uncollected_categories(versions[-1].compiled_terms.collected_categories):
            raise SubmissionRejected(
                RejectionCode.FORM_NOT_PERMITTED,
                "the terms in force do not collect what the form asks for",
                "come back later",
            )
        return form, versions[-1]

    async def _store(self, request: Request, sender: RequestSender, form: Form) -> tuple[str, Version]:
        """Read and record a submission under the version in force at its end; return its reference and the version."""
        begin_file = partial(IncomingFile, self.register.submissions.folder, self.file_name_key)
        upload = FormUpload(form, begin_file)
        try:
            with self.slots.take(find_network(sender.address)) as slot:
                await _read_in_time(request, upload, slot)
            inputs, now = upload.collect_inputs(), utc_now()
            form_in_force, version = await run_in_threadpool(self._find_form_in_force, form.name, now)
            if form_in_force != form:
                raise SubmissionRejected(
                    RejectionCode.FORM_NOT_PERMITTED,
                    "another version of the terms took effect, which changes the form",
                    "load the form again",
                )
            visitor = self._visitor_key(sender, version, now)
            submission = Submission(new_reference(), form.name, "form", visitor, version.number, now, now)
            await run_in_threadpool(self.register.submissions.record, submission, inputs)
        finally:
            await run_in_threadpool(upload.discard_files)
        return submission.reference, version

    def _visitor_key(self, sender: RequestSender, version: Version, now: datetime) -> str | None:
        """Return the key that the visitor's other records have; None if the terms do not permit one."""
        ages = version.compiled_terms.retention_ages("visitor-id")
        if not any(age != 0 for age in ages.values()):
            return None
        state = cookie.read_cookie_state(sender.headers, can_be_set=False)
        (rules,) = build_admission_rules((version,))
        is_permitted = state.is_permitted(rules, now.date())
        client = ClientIdentity(
            sender.address, sender.header(b"user-agent"), state.identifier if is_permitted else ""
        )
        host = parse_host_name(sender.header(b"host")) or ""
        time = to_microseconds(now)
        keys = self.visitor_keys.compute_keys(host, client, time, time, cookie_key_permitted=is_permitted)
        return f"{keys.visitor_id:016x}"


async def _read_in_time(request: Request, upload: FormUpload, slot: UploadSlot) -> None:
    """Read a form as it arrives. Raises SubmissionRejected if it does not arrive in time, or is not accepted."""
    try:
        async with asyncio.timeout(UPLOAD_SECONDS_MAX):
            await _read_form(request, upload, slot)
    except (TimeoutError, ClientDisconnect):
        raise _incomplete() from None


def _incomplete() -> SubmissionRejected:
    return SubmissionRejected(
        RejectionCode.INCOMPLETE_FORM, "the form did not arrive completely", "send it again"
    )


async def _read_form(request: Request, upload: FormUpload, slot: UploadSlot) -> None:
    """Read a form as it arrives. Raises SubmissionRejected if it is not a form, or is not accepted."""
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    if media_type == b"multipart/form-data" and options.get(b"boundary"):
        await _read_multipart_form(request, upload, slot, options[b"boundary"])
    elif media_type == b"application/x-www-form-urlencoded":
        body = b""
        async for data in request.stream():
            upload.count_text_bytes(len(data))
            slot.add_bytes(len(data))
            body += data
        try:
            fields = parse_qsl(body.decode("utf-8", "replace"), max_num_fields=MAX_FORM_FIELDS)
        except ValueError:
            raise SubmissionRejected(
                RejectionCode.TOO_MANY_FIELDS, "the form has too many fields", "send the form unchanged"
            ) from None
        for name, value in fields:
            upload.add_text(name, value)
    else:
        raise SubmissionRejected(
            RejectionCode.NOT_A_FORM,
            "the body is not a form",
            "send it as multipart/form-data or application/x-www-form-urlencoded",
        )


async def _read_multipart_form(
    request: Request, upload: FormUpload, slot: UploadSlot, boundary: bytes
) -> None:
    reader, byte_count = MultipartFormReader(upload), 0
    try:
        parser = MultipartParser(boundary, reader.parser_callbacks())
        async for data in request.stream():
            byte_count += len(data)
            slot.add_bytes(len(data))
            if byte_count > upload.body_bytes_max:
                raise SubmissionRejected(RejectionCode.FORM_TOO_LARGE, "the form is too long", "send less")
            await run_in_threadpool(parser.write, data)
        parser.finalize()
    except FormParserError:  # of the form, or of the boundary between its parts
        reader.is_complete = False
    if not reader.is_complete:
        raise _incomplete()
