"""What readers see: they sign in, and have the reports of their purposes; everybody else has the policy."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qs, urlencode
from zoneinfo import ZoneInfo

from itsdangerous import BadSignature, TimestampSigner
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from avowal.clock import utc_now
from avowal.collect.client_address import TrustedProxies
from avowal.config import SiteSettings
from avowal.errors import AvowalError
from avowal.http.body import read_body
from avowal.http.headers import PRIVATE_HEADERS
from avowal.http.rate_limit import AttemptLimiter
from avowal.http.sender import read_sender
from avowal.policy.page import PageTable, render_template
from avowal.register.passwords import PASSWORD_CHARACTERS_MAX, Passwords
from avowal.register.readers import Reader, Readers
from avowal.use.formatting import (
    describe_completeness,
    format_column_heading,
    format_table_title,
    format_value,
)
from avowal.use.report_request import ReportRequest, parse_filters, parse_time
from avowal.use.reports import REPORTS, ReportResult
from avowal.web.policy_pages import PolicyPages
from avowal.web.policy_routes import respond_with_page

SESSION_COOKIE = "avowal-reader"
SESSION_SECONDS = 12 * 3600
FORM_BYTES_MAX = 4_096
PERIOD_LABELS = {"today": "Today", "7 days": "7 days", "30 days": "30 days", "": "All time"}


@dataclass
class ReaderRoutes:
    """Gives readers their reports. `ask` answers a question."""

    site: SiteSettings
    policy_pages: PolicyPages
    readers: Readers
    passwords: Passwords
    signer: TimestampSigner
    run_report: Callable[[ReportRequest], ReportResult]
    proxies: TrustedProxies
    attempt_limiter: AttemptLimiter

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", self.show_home, methods=["GET"]),
            Route("/sign-in", self.sign_in, methods=["GET", "POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def show_home(self, request: Request) -> Response:
        """Give a reader who signed in a report, and everybody else the policy."""
        reader = self._signed_in(request)
        return (
            await self._report(request, reader)
            if reader
            else await respond_with_page(request, self.policy_pages.render_version)
        )

    async def sign_in(self, request: Request) -> Response:
        """Show the form, or take it."""
        if request.method == "GET":
            return self._form()
        by = read_sender(self.proxies, request.scope)
        if not by.is_same_origin:
            return self._form("This form was sent from another site.", 403)
        form = parse_qs((await read_body(request.receive, FORM_BYTES_MAX) or b"").decode("utf-8", "replace"))
        name, password = (form.get(key, [""])[0][:PASSWORD_CHARACTERS_MAX] for key in ("name", "password"))
        check = partial(self.passwords.check, name, password)
        right = await run_in_threadpool(self.attempt_limiter.check, by.address, name, check)
        if right is None:
            return self._form("Too many tries: wait a minute.", 429)
        if not right or not any(reader.name == name for reader in self.readers.all()):
            return self._form("There is no reader of this name with this password.", 401)
        answer = RedirectResponse("/", 303, PRIVATE_HEADERS)
        token = self.signer.sign(f"{self.passwords.fingerprint(name)} {name}").decode()
        answer.set_cookie(
            SESSION_COOKIE, token, SESSION_SECONDS, secure=by.is_secure, httponly=True, samesite="strict"
        )
        return answer

    async def sign_out(self, request: Request) -> Response:
        """Forget who signed in."""
        by = read_sender(self.proxies, request.scope)
        if not by.is_same_origin:
            return self._form("This form was sent from another site.", 403)
        answer = RedirectResponse("/", 303, PRIVATE_HEADERS)
        answer.delete_cookie(SESSION_COOKIE, secure=by.is_secure, httponly=True, samesite="strict")
        return answer

    def _signed_in(self, request: Request) -> Reader | None:
        """Return who signed in, as long as they are a reader and their password is the same."""
        try:
            token = self.signer.unsign(request.cookies.get(SESSION_COOKIE, ""), SESSION_SECONDS).decode()
        except BadSignature:
            return None
        mark, _, name = token.partition(" ")
        if not mark or mark != self.passwords.fingerprint(name):
            return None
        return next((reader for reader in self.readers.all() if reader.name == name), None)

    async def _report(self, request: Request, reader: Reader) -> Response:
        may = [name for name, report in REPORTS.items() if report.purpose in reader.purposes]
        name = request.query_params.get("report", next(iter(may), ""))
        since = request.query_params.get("since", "30 days")
        told, problem, tables = [], "", list[PageTable]()
        if name in may:
            try:
                answer = await run_in_threadpool(self.run_report, self._question(name, since, reader))
                tables = [_facts(answer, table) for table in answer.tables]
                told = [*describe_completeness(answer.completeness, answer.dropped_lines), *answer.notes]
            except AvowalError as error:
                problem = error.message
        else:
            problem = "there is no such report among those of your purposes"
        page = render_template(
            "reports.html",
            "en",
            package="avowal.web",
            reader=reader.name,
            chosen=name,
            reports=[(one, f"/?{urlencode({'report': one, 'since': since})}") for one in may],
            since=since,
            periods=[
                (said, word, f"/?{urlencode({'report': name, 'since': word})}")
                for word, said in PERIOD_LABELS.items()
            ],
            figures=tables[0] if name == "overview" and tables else None,
            tables=tables[1:] if name == "overview" else tables,
            notes=told,
            problem=problem,
            host=self.site.host,
        )
        return HTMLResponse(page, 200 if not problem else 400, PRIVATE_HEADERS)

    def _question(self, name: str, since: str, reader: Reader) -> ReportRequest:
        zone = ZoneInfo(self.site.timezone)
        return ReportRequest(
            report=name,
            since=parse_time(since, zone, utc_now()) if since else None,
            timezone=zone.key,
            filters=parse_filters([]),
            site_hosts=[host for host in (self.site.host, *self.site.other_hosts) if host],
            reader=reader.name,
        )

    def _form(self, problem: str = "", status: int = 200) -> Response:
        page = render_template("sign_in.html", "en", package="avowal.web", problem=problem)
        return HTMLResponse(page, status, PRIVATE_HEADERS)


def _facts(answer: ReportResult, name: str) -> PageTable:
    """Return a table of an answer, in words."""
    table = answer.tables[name]
    rows = [
        tuple(format_value(column, value) for column, value in zip(table.columns, row, strict=True))
        for row in table.rows
    ]
    return PageTable(
        format_table_title(name),
        tuple(format_column_heading(column) for column in table.columns),
        rows,
    )
