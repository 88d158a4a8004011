"""Pages for readers: they sign in and see the reports of their purposes; everybody else sees the policy."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from secrets import token_urlsafe
from urllib.parse import parse_qs, urlencode
from zoneinfo import ZoneInfo

from itsdangerous import BadSignature, TimestampSigner
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from avowal.base_path import address
from avowal.clock import utc_now
from avowal.collect.client_address import TrustedProxies
from avowal.config import SiteSettings
from avowal.errors import AvowalError
from avowal.http.body import read_body
from avowal.http.headers import PRIVATE_HEADERS
from avowal.http.query_parameters import find_unknown_parameter, list_known_parameters
from avowal.http.rate_limit import AttemptLimiter
from avowal.http.redirect import redirect
from avowal.http.sender import read_sender
from avowal.policy.page import render_template
from avowal.policy.page_tables import PageTable
from avowal.register.passwords import PASSWORD_CHARACTERS_MAX, Passwords
from avowal.register.readers import Reader, Readers
from avowal.register.release_requests import ReleaseRequests
from avowal.use.formatting import (
    describe_completeness,
    format_column_heading,
    format_table_title,
    format_value,
)
from avowal.use.report_request import ReportRequest, parse_filters, parse_time
from avowal.use.reports import REPORTS, ReportResult
from avowal.web.policy_pages import PolicyPages
from avowal.web.policy_routes import SIGN_IN_PATH, respond_with_page

REPORTS_PATH = "/reports"
"""Where a reader's reports are when the site has a home page of its own."""

SESSION_COOKIE = "avowal-reader"
SESSION_SECONDS = 12 * 3600
BROWSER_COOKIE = "avowal-browser"
"""Identifies a browser in which a reader signed in, so that nobody elsewhere uses up its attempts."""

REPORT_PARAMETERS = ("report", "since")
BROWSER_SECONDS = 400 * 86_400
FORM_BYTES_MAX = 4_096
PERIOD_LABELS = {"today": "Today", "7 days": "7 days", "30 days": "30 days", "": "All time"}


@dataclass
class ReaderRoutes:
    """Signs readers in and out, and shows them their reports."""

    site: SiteSettings
    policy_pages: PolicyPages
    readers: Readers
    passwords: Passwords
    release_requests: ReleaseRequests
    signer: TimestampSigner
    run_report: Callable[[ReportRequest], ReportResult]
    proxies: TrustedProxies
    attempt_limiter: AttemptLimiter

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", self.show_home, methods=["GET"]),
            Route(REPORTS_PATH, self.show_reports, methods=["GET"]),
            Route(SIGN_IN_PATH, self.sign_in, methods=["GET", "POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def show_home(self, request: Request) -> Response:
        """Show a signed-in reader a report, and everybody else the policy."""
        reader = self._find_reader(request)
        if reader:
            return await self._show_report(request, reader)
        return await respond_with_page(request, self.policy_pages.render_version)

    async def show_reports(self, request: Request) -> Response:
        """Show a signed-in reader a report, and let everybody else sign in."""
        reader = self._find_reader(request)
        if reader:
            return await self._show_report(request, reader)
        return redirect(SIGN_IN_PATH, 303, PRIVATE_HEADERS)

    async def sign_in(self, request: Request) -> Response:
        """Show the form, or sign a reader in by it."""
        if request.method != "POST":
            return self._show_form()
        sender = read_sender(self.proxies, request.scope)
        if not sender.is_same_origin:
            return self._show_form("This form was sent from another site.", 403)
        form = parse_qs((await read_body(request.receive, FORM_BYTES_MAX) or b"").decode("utf-8", "replace"))
        name, password = (form.get(key, [""])[0][:PASSWORD_CHARACTERS_MAX] for key in ("name", "password"))
        check_password = partial(self.passwords.check, name, password)
        browser = self._find_browser(request, name)
        is_right, wait_seconds = False, 0
        if name and password:
            is_right, wait_seconds = await self.attempt_limiter.check(
                sender.address, name, check_password, browser
            )
        if wait_seconds:
            response = self._show_form(f"Too many tries: wait {wait_seconds} seconds.", 429)
            response.headers["Retry-After"] = str(wait_seconds)
            return response
        if not is_right or not any(reader.name == name for reader in self.readers.all()):
            return self._show_form("There is no reader of this name with this password.", 401)
        response = redirect(REPORTS_PATH, 303, PRIVATE_HEADERS)
        response.set_cookie(
            BROWSER_COOKIE,
            self._browser_signer().sign(f"{browser or token_urlsafe(9)} {name}").decode(),
            BROWSER_SECONDS,
            path=address(SIGN_IN_PATH),
            secure=sender.is_secure,
            httponly=True,
            samesite="strict",
        )
        token = self.signer.sign(f"{self.passwords.fingerprint(name)} {name}").decode()
        response.set_cookie(
            SESSION_COOKIE,
            token,
            SESSION_SECONDS,
            path=address("/"),
            secure=sender.is_secure,
            httponly=True,
            samesite="strict",
        )
        return response

    def _browser_signer(self) -> TimestampSigner:
        """Return the signer of the cookies that identify browsers; they are no sessions."""
        return TimestampSigner(self.signer.secret_keys, salt=BROWSER_COOKIE)

    def _find_browser(self, request: Request, name: str) -> str:
        """Return the identifier of a browser in which a reader signed in before; empty for any other."""
        try:
            token = self._browser_signer().unsign(request.cookies.get(BROWSER_COOKIE, ""), BROWSER_SECONDS)
        except BadSignature:
            return ""
        identifier, _, reader = token.decode().partition(" ")
        return identifier if reader == name else ""

    async def sign_out(self, request: Request) -> Response:
        """Sign a reader out."""
        sender = read_sender(self.proxies, request.scope)
        if not sender.is_same_origin:
            return self._show_form("This form was sent from another site.", 403)
        response = redirect(SIGN_IN_PATH, 303, PRIVATE_HEADERS)
        response.delete_cookie(
            SESSION_COOKIE, address("/"), secure=sender.is_secure, httponly=True, samesite="strict"
        )
        return response

    def _find_reader(self, request: Request) -> Reader | None:
        """Return the signed-in reader, unless they were removed or their password was changed since."""
        try:
            token = self.signer.unsign(request.cookies.get(SESSION_COOKIE, ""), SESSION_SECONDS).decode()
        except BadSignature:
            return None
        fingerprint, _, name = token.partition(" ")
        if not fingerprint or fingerprint != self.passwords.fingerprint(name):
            return None
        return next((reader for reader in self.readers.all() if reader.name == name), None)

    async def _show_report(self, request: Request, reader: Reader) -> Response:
        permitted = [name for name, report in REPORTS.items() if report.purpose in reader.purposes]
        name = request.query_params.get("report", next(iter(permitted), ""))
        since = request.query_params.get("since", "30 days")
        notes, problem, tables, status = [], "", list[PageTable](), 200
        if unknown := find_unknown_parameter(request, REPORT_PARAMETERS):
            problem, status = f"{unknown}; {list_known_parameters(REPORT_PARAMETERS)}", 400
        elif name in permitted:
            try:
                report = await run_in_threadpool(self.run_report, self._build_request(name, since, reader))
                tables = [_build_table(report, table) for table in report.tables]
                notes = [*describe_completeness(report.completeness, report.dropped_lines), *report.notes]
            except AvowalError as error:
                problem, status = error.message, 400
        elif name:
            status = 403
            problem = "there is no such report among those of your purposes"
        elif not reader.can_disclose:
            problem = "you have no reports yet: ask the operator for access"
        if reader.can_disclose:
            tables.append(await run_in_threadpool(self._build_request_table))
            notes.append(
                "A release is read with `avowal release show`, and approved with `avowal release approve`."
            )
        page = render_template(
            "reports.html",
            "en",
            package="avowal.web",
            reader=reader.name,
            report=name,
            reports=[
                (permitted_name, f"{REPORTS_PATH}?{urlencode({'report': permitted_name, 'since': since})}")
                for permitted_name in permitted
            ],
            since=since,
            periods=[
                (label, period, f"{REPORTS_PATH}?{urlencode({'report': name, 'since': period})}")
                for period, label in PERIOD_LABELS.items()
            ],
            figures=tables[0] if name == "overview" and tables else None,
            tables=tables[1:] if name == "overview" else tables,
            notes=notes,
            problem=problem,
            host=self.site.host,
        )
        return HTMLResponse(page, status, PRIVATE_HEADERS)

    def _build_request(self, name: str, since: str, reader: Reader) -> ReportRequest:
        zone = ZoneInfo(self.site.timezone)
        return ReportRequest(
            report=name,
            since=parse_time(since, zone, utc_now()) if since else None,
            timezone=zone.key,
            filters=parse_filters([]),
            site_hosts=[host for host in (self.site.host, *self.site.other_hosts) if host],
            reader=reader.name,
        )

    def _build_request_table(self) -> PageTable:
        """Return the requests for releases that wait, for readers who may approve them."""
        requests = self.release_requests
        rows = [
            (
                request.summary.reference,
                request.summary.ground,
                request.details.recipient,
                ", ".join(request.summary.categories),
                request.details.requester,
                f"{len(requests.approvers(request.summary.reference))} of {request.summary.required_approvals}",
                f"{request.summary.requested_at:%Y-%m-%d}",
            )
            for request in requests.pending(utc_now())
        ]
        headings = ("Reference", "Ground", "Recipient", "Data", "Requested by", "Approvals", "Date (UTC)")
        return PageTable("Releases that wait for approval", headings, rows)

    def _show_form(self, problem: str = "", status: int = 200) -> Response:
        page = render_template("sign_in.html", "en", package="avowal.web", problem=problem)
        return HTMLResponse(page, status, PRIVATE_HEADERS)


def _build_table(report: ReportResult, name: str) -> PageTable:
    """Return a table of a report as people read it."""
    table = report.tables[name]
    rows = [
        tuple(format_value(column, value) for column, value in zip(table.columns, row, strict=True))
        for row in table.rows
    ]
    headings = tuple(format_column_heading(column) for column in table.columns)
    return PageTable(format_table_title(name), headings, rows)
