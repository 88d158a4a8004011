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
from avowal.collect.client_address import Proxies
from avowal.disclose.request import EXPIRES_DAYS, Words, named_ground
from avowal.disclose.workflow import Desk
from avowal.endpoints.attempt_limit import Tries
from avowal.endpoints.refusal import error
from avowal.endpoints.sender import sender
from avowal.errors import AvowalError, DisclosureError, MisuseError, RefusedError
from avowal.keep.visitor_lookup import Subject
from avowal.policy.vocabulary import named_leaves
from avowal.register.passwords import LENGTH_MAX
from avowal.register.release_requests import Request as Asked
from avowal.submissions.submission import REFERENCE
from avowal.use.report_request import parse_moment
from avowal.web.reader_pages import HEADERS

BODY_MAX = 65_536
STATUSES = {DisclosureError: 403, MisuseError: 400, RefusedError: 409}


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
    expires_days: int = EXPIRES_DAYS
    seal_until: str = ""
    dry_run: bool = False


@dataclass
class Disclosing:
    """Takes requests for releases."""

    desk: Desk
    subject: Callable[[str, str, str], Subject]
    """Finds whom words are about; see `keep.subject`."""
    zone: ZoneInfo
    proxies: Proxies
    tries: Tries

    async def ask(self, request: Request) -> Response:
        """Release what is asked for, or have it wait for those who approve: `POST /disclose`."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > BODY_MAX:
                return error(413, "that is more than a request has", "send the JSON alone", HEADERS)
        return await self._answered(request, lambda name, _: self._ask(name, body))

    async def show(self, request: Request) -> Response:
        """Show what somebody asked for, and what would leave: `GET /disclose/REFERENCE`."""
        return await self._answered(request, lambda *_: self._show(request.path_params["reference"]))

    async def approve(self, request: Request) -> Response:
        """Approve what somebody else asked for: `POST /disclose/REFERENCE/approval`."""
        reference = request.path_params["reference"]

        def approved(name: str, password: str) -> Response:
            asked = self.desk.approve(reference, name, password)
            by = self.desk.register.asking.approved_by(reference)
            return _json({"reference": reference, "approved_by": by, "approvals": asked.approvals})

        return await self._answered(request, approved)

    async def make(self, request: Request) -> Response:
        """Release what was approved: `POST /disclose/REFERENCE/package`."""
        reference = request.path_params["reference"]

        def made(name: str, _: str) -> Response:
            asked = self.desk.one(reference)
            with self.desk.on_record(asked.ground, asked.recipient_kind, name):
                self.desk.register.readers.check_discloses(name)
                return self._made(asked)

        return await self._answered(request, made)

    async def _answered(self, request: Request, answer: Callable[[str, str], Response]) -> Response:
        """Answer a reader who proves who they are, and may disclose."""
        by = sender(self.proxies, request.scope)
        if request.method == "POST" and request.headers.get("content-type") != "application/json":
            return error(415, "this is no JSON", "send it as `application/json`", HEADERS)
        name, password = _credentials(request.headers.get("authorization", ""))

        def proved() -> Response:
            check = partial(self.desk.register.passwords.check, name, password)
            right = self.tries.right(by.address, name, check)
            if right is None:
                return error(429, "too many tries", "wait a minute", HEADERS)
            if not right:
                asks = {**HEADERS, "WWW-Authenticate": 'Basic realm="avowal", charset="UTF-8"'}
                return error(
                    401, "there is no reader of this name with this password", "`avowal user add`", asks
                )
            try:
                return answer(name, password)
            except AvowalError as why:
                status = next(code for kind, code in STATUSES.items() if isinstance(why, kind))
                return error(status, why.message, why.hint, HEADERS)

        return await run_in_threadpool(proved)

    def _ask(self, name: str, body: bytes) -> Response:
        try:
            told = msgspec.json.decode(body, type=Body)
        except (msgspec.DecodeError, UnicodeDecodeError) as why:
            raise MisuseError(f"this is no request: {why}", "look at the reference") from None
        ground = named_ground(told.ground)
        if told.dry_run:
            asked = self.desk.ask(self._words(told, ground, name))
            found = self.desk.extent_of(asked)
            return _json({"records": found.records, "visitors": len(found.whose), "refused": found.refused})
        with self.desk.on_record(ground, told.kind, name):
            asked = self.desk.record(self._words(told, ground, name))
            if asked.approvals:
                return _json({"reference": asked.reference, "approvals": asked.approvals}, 202)
            return self._made(asked)

    def _made(self, asked: Asked) -> Response:
        made = self.desk.make(asked)
        self.desk.written(made)
        named = {"Content-Disposition": f'attachment; filename="{asked.reference}.zip"'}
        return Response(made.package, 200, {**HEADERS, **named}, "application/zip")

    def _words(self, told: Body, ground: str, name: str) -> Words:
        self.desk.register.readers.check_discloses(name)
        submitted = REFERENCE.fullmatch(told.about)
        until = parse_moment(told.seal_until, self.zone, utc_now()) if told.seal_until else None
        alike = {one: getattr(told, one) for one in Words.__struct_fields__ if one in Body.__struct_fields__}
        return Words(
            **{
                **alike,
                "ground": ground,
                "categories": named_leaves("categories", told.categories),
                "about": self.subject(told.about, told.since, told.until)
                if told.about and not submitted
                else None,
                "submission": told.about if submitted else "",
                "sealed_until": until,
                "by": name,
            }
        )

    def _show(self, reference: str) -> Response:
        asked = self.desk.one(reference)
        found, by = self.desk.extent_of(asked), self.desk.register.asking.approved_by(reference)
        told = msgspec.to_builtins(asked)
        return _json({**told, "records": found.records, "refused": found.refused, "approved_by": by})


def _credentials(header: str) -> tuple[str, str]:
    """Return the name and password of a header Authorization (RFC 7617); empty where it has none."""
    scheme, _, told = header.partition(" ")
    try:
        name, _, password = base64.b64decode(told, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (name[:LENGTH_MAX], password[:LENGTH_MAX]) if scheme.lower() == "basic" else ("", "")


def _json(told: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(told), status, HEADERS, "application/json")
