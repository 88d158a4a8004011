"""Releases over HTTP, for readers who may disclose: request, review, approve, make them, as `avowal disclose` does."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from avowal.clock import utc_now
from avowal.collect.client_address import TrustedProxies
from avowal.disclose.request import EXPIRY_DAYS_DEFAULT, ReleaseInput, parse_ground
from avowal.disclose.workflow import ReleaseWorkflow
from avowal.errors import AvowalError, DisclosureError, InvalidInputError, RefusedError
from avowal.http.body import read_body
from avowal.http.headers import PRIVATE_HEADERS
from avowal.http.json_response import json_response
from avowal.http.problem import error_response
from avowal.http.rate_limit import AttemptLimiter
from avowal.http.sender import read_sender
from avowal.keep.visitor_lookup import VisitorSelector
from avowal.policy.vocabulary import expand_words
from avowal.register.passwords import PASSWORD_CHARACTERS_MAX
from avowal.register.release_requests import ReleaseRequest as Asked
from avowal.submissions.submission import REFERENCE_PATTERN
from avowal.use.report_request import parse_time

MAX_REQUEST_BYTES = 65_536
STATUS_BY_ERROR = {DisclosureError: 403, InvalidInputError: 400, RefusedError: 409}


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for: as the options of `avowal disclose`."""

    ground: str
    to: str
    categories: list[str]
    kind: str = ""
    contact: str = ""
    about: str = ""
    since: str = ""
    until: str = ""
    rows: str = ""
    reference: str = ""
    evidence: dict[str, str] = {}
    expires_days: int = EXPIRY_DAYS_DEFAULT
    seal_until: str = ""
    dry_run: bool = False


@dataclass
class ReleaseEndpoint:
    """Takes requests for releases."""

    workflow: ReleaseWorkflow
    parse_subject: Callable[[str, str, str], VisitorSelector]
    """Finds whom words are about; see `keep.subject`."""
    time_zone: ZoneInfo
    proxies: TrustedProxies
    attempt_limiter: AttemptLimiter

    async def create(self, request: Request) -> Response:
        """Release what is asked for, or have it wait for those who approve: `POST /disclose`."""
        body = await read_body(request.receive, MAX_REQUEST_BYTES)
        if body is None:
            return error_response(
                413, "that is more than a request has", "send the JSON alone", PRIVATE_HEADERS
            )
        return await self._answered(request, lambda name, _: self._ask(name, body))

    async def show(self, request: Request) -> Response:
        """Show what somebody asked for, and what would leave: `GET /disclose/REFERENCE`."""
        return await self._answered(request, lambda *_: self._show(request.path_params["reference"]))

    async def approve(self, request: Request) -> Response:
        """Approve what somebody else asked for: `POST /disclose/REFERENCE/approval`."""
        reference = request.path_params["reference"]

        def approved(name: str, password: str) -> Response:
            asked = self.workflow.approve(reference, name, password)
            by = self.workflow.register.release_requests.approvers(reference)
            return _private_json({"reference": reference, "approved_by": by, "approvals": asked.approvals})

        return await self._answered(request, approved)

    async def release(self, request: Request) -> Response:
        """Release what was approved: `POST /disclose/REFERENCE/package`."""
        reference = request.path_params["reference"]

        def made(name: str, _: str) -> Response:
            asked = self.workflow.find_waiting_request(reference)
            with self.workflow.recording_refusals(asked.ground, asked.recipient_kind, name):
                self.workflow.register.readers.check_can_disclose(name)
                return self._made(asked)

        return await self._answered(request, made)

    async def _answered(self, request: Request, answer: Callable[[str, str], Response]) -> Response:
        """Answer a reader who proves who they are, and may disclose."""
        by = read_sender(self.proxies, request.scope)
        if request.method == "POST" and request.headers.get("content-type") != "application/json":
            return error_response(415, "this is no JSON", "send it as `application/json`", PRIVATE_HEADERS)
        name, password = _credentials(request.headers.get("authorization", ""))

        def proved() -> Response:
            check = partial(self.workflow.register.passwords.check, name, password)
            right = self.attempt_limiter.check(by.address, name, check)
            if right is None:
                return error_response(429, "too many tries", "wait a minute", PRIVATE_HEADERS)
            if not right:
                asks = {**PRIVATE_HEADERS, "WWW-Authenticate": 'Basic realm="avowal", charset="UTF-8"'}
                return error_response(
                    401, "there is no reader of this name with this password", "`avowal user add`", asks
                )
            try:
                return answer(name, password)
            except AvowalError as why:
                status = next(code for kind, code in STATUS_BY_ERROR.items() if isinstance(why, kind))
                return error_response(status, why.message, why.hint, PRIVATE_HEADERS)

        return await run_in_threadpool(proved)

    def _ask(self, name: str, body: bytes) -> Response:
        try:
            told = msgspec.json.decode(body, type=Body)
        except (msgspec.DecodeError, UnicodeDecodeError) as why:
            raise InvalidInputError(
                f"this is no request: {why}", "look at the reference", code="invalid-input"
            ) from None
        ground = parse_ground(told.ground)
        if told.dry_run:
            asked = self.workflow.prepare_request(self._words(told, ground, name))
            found = self.workflow.build_extract(asked)
            return _private_json(
                {
                    "records": found.record_counts,
                    "visitors": len(found.visitor_keys),
                    "refused_categories": found.refused_categories,
                }
            )
        with self.workflow.recording_refusals(ground, told.kind, name):
            asked = self.workflow.record_request(self._words(told, ground, name))
            if asked.approvals:
                return _private_json({"reference": asked.reference, "approvals": asked.approvals}, 202)
            return self._made(asked)

    def _made(self, asked: Asked) -> Response:
        made = self.workflow.make_release(asked)
        self.workflow.mark_written(made)
        named = {"Content-Disposition": f'attachment; filename="{asked.reference}.zip"'}
        return Response(made.package, 200, {**PRIVATE_HEADERS, **named}, "application/zip")

    def _words(self, told: Body, ground: str, name: str) -> ReleaseInput:
        self.workflow.register.readers.check_can_disclose(name)
        submitted = REFERENCE_PATTERN.fullmatch(told.about)
        until = parse_time(told.seal_until, self.time_zone, utc_now()) if told.seal_until else None
        alike = {
            one: getattr(told, one) for one in ReleaseInput.__struct_fields__ if one in Body.__struct_fields__
        }
        return ReleaseInput(
            **{
                **alike,
                "ground": ground,
                "categories": expand_words("categories", told.categories),
                "about": self.parse_subject(told.about, told.since, told.until)
                if told.about and not submitted
                else None,
                "submission": told.about if submitted else "",
                "sealed_until": until,
                "by": name,
            }
        )

    def _show(self, reference: str) -> Response:
        asked = self.workflow.find_waiting_request(reference)
        found, by = (
            self.workflow.build_extract(asked),
            self.workflow.register.release_requests.approvers(reference),
        )
        told = msgspec.to_builtins(asked)
        return _private_json(
            {
                **told,
                "records": found.record_counts,
                "refused_categories": found.refused_categories,
                "approved_by": by,
            }
        )


def _credentials(header: str) -> tuple[str, str]:
    """Return the name and password of a header Authorization (RFC 7617); empty where it has none."""
    scheme, _, told = header.partition(" ")
    try:
        name, _, password = base64.b64decode(told, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (
        (name[:PASSWORD_CHARACTERS_MAX], password[:PASSWORD_CHARACTERS_MAX])
        if scheme.lower() == "basic"
        else ("", "")
    )


def _private_json(content: object, status: int = 200) -> Response:
    return json_response(content, status, PRIVATE_HEADERS)
