"""Releases over HTTP, for readers who may disclose: request, review, approve and make, as `avowal disclose` does."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from avowal.collect.client_address import TrustedProxies
from avowal.disclose.prepared_release import PreparedRelease
from avowal.disclose.request import ReleaseInput, parse_ground
from avowal.disclose.workflow import ReleaseWorkflow
from avowal.errors import AvowalError, InvalidInputError
from avowal.http.body import read_body
from avowal.http.headers import PRIVATE_HEADERS
from avowal.http.json_response import json_response
from avowal.http.problem import ProblemCode, error_response, problem_response, too_many_attempts
from avowal.http.rate_limit import AttemptLimiter
from avowal.http.sender import read_sender
from avowal.register.passwords import PASSWORD_CHARACTERS_MAX
from avowal.strict import JSON_ERRORS

MAX_REQUEST_BYTES = 65_536


@dataclass
class ReleaseEndpoint:
    """Accepts requests for releases, and makes releases."""

    workflow: ReleaseWorkflow
    proxies: TrustedProxies
    attempt_limiter: AttemptLimiter

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/releases", self.create, methods=["POST"]),
            Route("/releases/{reference:str}", self.show, methods=["GET"]),
            Route("/releases/{reference:str}/approval", self.approve, methods=["POST"]),
            Route("/releases/{reference:str}/package", self.release, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """Make a release, or record the request for it if others have to approve: `POST /releases`."""
        body = await read_body(request.receive, MAX_REQUEST_BYTES)
        if body is None:
            return problem_response(
                413,
                ProblemCode.BODY_TOO_LARGE,
                f"the body is longer than {MAX_REQUEST_BYTES:,} bytes",
                "send the request as JSON, without anything else",
                PRIVATE_HEADERS,
            )
        return await self._respond(request, lambda name, _: self._create(name, body))

    async def show(self, request: Request) -> Response:
        """Show a request and what would be released: `GET /releases/REFERENCE`."""
        return await self._respond(
            request, lambda name, _: self._show(request.path_params["reference"], name)
        )

    async def approve(self, request: Request) -> Response:
        """Approve the request of another reader: `POST /releases/REFERENCE/approval`."""
        reference = request.path_params["reference"]

        def approve(name: str, password: str) -> Response:
            release_request = self.workflow.approve(reference, name, password)
            approvers = self.workflow.register.release_requests.approvers(reference)
            return _private_json(
                {
                    "reference": reference,
                    "approved_by": approvers,
                    "required_approvals": release_request.summary.required_approvals,
                }
            )

        return await self._respond(request, approve)

    async def release(self, request: Request) -> Response:
        """Make a release that was approved: `POST /releases/REFERENCE/package`."""
        reference = request.path_params["reference"]

        def release(name: str, _: str) -> Response:
            release_request = self.workflow.open_request(reference, name)
            with self.workflow.recording_refusals(
                release_request.summary.ground, release_request.summary.recipient_kind, name
            ):
                return self._make_release(self.workflow.prepare_approved_release(release_request))

        return await self._respond(request, release)

    async def _respond(self, request: Request, handle: Callable[[str, str], Response]) -> Response:
        """Return what `handle` makes of a request, once its reader proved their name and password."""
        if request.method == "POST" and request.headers.get("content-type") != "application/json":
            return problem_response(
                415,
                ProblemCode.UNSUPPORTED_MEDIA_TYPE,
                "the body is not JSON",
                "send it as `application/json`",
                PRIVATE_HEADERS,
            )
        address = read_sender(self.proxies, request.scope).address
        name, password = _parse_credentials(request.headers.get("authorization", ""))

        check_password = partial(self.workflow.register.passwords.check, name, password)
        is_right, wait_seconds = False, 0
        if name:
            is_right, wait_seconds = await self.attempt_limiter.check(address, name, check_password)
        if wait_seconds:
            return too_many_attempts(wait_seconds)
        if not is_right:
            return problem_response(
                401,
                ProblemCode.WRONG_CREDENTIALS,
                "no reader has this name and password",
                "`avowal user add` adds a reader, `avowal user password` sets a password",
                {**PRIVATE_HEADERS, "WWW-Authenticate": 'Basic realm="avowal", charset="UTF-8"'},
            )

        def respond() -> Response:
            try:
                return handle(name, password)
            except AvowalError as error:
                return error_response(error, PRIVATE_HEADERS)

        return await run_in_threadpool(respond)

    def _create(self, reader: str, body: bytes) -> Response:
        release_input = _parse_input(body)
        if release_input.dry_run:
            prepared = self.workflow.preview_request(release_input, reader)
            return _private_json(
                {
                    "records": prepared.extract.record_counts,
                    "visitors": len(prepared.extract.visitor_keys),
                    "refused_categories": prepared.extract.refused_categories,
                }
            )
        ground, recipient_kind = parse_ground(release_input.ground), release_input.recipient_kind
        with self.workflow.recording_refusals(ground, recipient_kind, reader):
            prepared = self.workflow.record_request(release_input, reader)
            request = prepared.request.summary
            if request.required_approvals:
                return _private_json(
                    {"reference": request.reference, "required_approvals": request.required_approvals}, 202
                )
            return self._make_release(prepared)

    def _make_release(self, prepared: PreparedRelease) -> Response:
        """Make a release, and return its package."""
        release = self.workflow.make_release(prepared)
        self.workflow.mark_written(release)
        attachment = {
            "Content-Disposition": f'attachment; filename="{release.manifest.summary.reference}.zip"',
        }
        return Response(release.package, 200, {**PRIVATE_HEADERS, **attachment}, "application/zip")

    def _show(self, reference: str, reader: str) -> Response:
        request = self.workflow.open_request(reference, reader)
        extract = self.workflow.prepare_release(request).extract
        return _private_json(
            {
                **msgspec.to_builtins(request),
                "records": extract.record_counts,
                "refused_categories": extract.refused_categories,
                "approved_by": self.workflow.register.release_requests.approvers(reference),
            }
        )


def _parse_input(body: bytes) -> ReleaseInput:
    """Parse the JSON of a request. Raises InvalidInputError if it is not valid."""
    try:
        return msgspec.json.decode(body, type=ReleaseInput)
    except JSON_ERRORS as error:
        raise InvalidInputError(
            f"the body is not a request for a release: {error}",
            "see `POST /releases` in the reference",
            code="invalid-input",
        ) from None


def _parse_credentials(header: str) -> tuple[str, str]:
    """Return the name and password of a header Authorization (RFC 7617); empty if it has none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name[:PASSWORD_CHARACTERS_MAX], password[:PASSWORD_CHARACTERS_MAX]


def _private_json(content: object, status: int = 200) -> Response:
    return json_response(content, status, PRIVATE_HEADERS)
