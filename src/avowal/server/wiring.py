"""Builds the routes of a server over a data folder, each with what it needs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from itsdangerous import TimestampSigner

from avowal.app.owner_requests import CountRecordsSince, RunReport
from avowal.app.session import Session
from avowal.app.visitor_data import VisitorDataAccess
from avowal.collect.client_address import TrustedProxies
from avowal.collect.cookie import compute_cookie_visitor_id
from avowal.collect.script_event import VisitorKeyFactory
from avowal.endpoints.collect import CollectEndpoint
from avowal.endpoints.event_writer import EventWriter
from avowal.endpoints.processor_feed import ProcessorFeedEndpoint
from avowal.endpoints.release import ReleaseEndpoint
from avowal.endpoints.script import ScriptEndpoint
from avowal.endpoints.submit import SubmitEndpoint
from avowal.http.rate_limit import AttemptLimiter
from avowal.ingest.syslog import LineBuffer, SyslogListener
from avowal.key_files import FILE_NAME_KEY_FILE, SIGN_IN_KEY_FILE, read_or_create_secret
from avowal.policy.bounds import OWN_USE, PROCESSOR
from avowal.register.release_requests import RefusalReason
from avowal.server.application import Endpoints
from avowal.verify.last_result import read_last_result
from avowal.web.gpc_routes import GpcRoutes
from avowal.web.notice_routes import NoticeRoutes
from avowal.web.policy_pages import PolicyPages
from avowal.web.policy_routes import PAGE_LINKS, PolicyRoutes
from avowal.web.policy_status import PolicyStatus
from avowal.web.proof_check import ProofCheckRoutes
from avowal.web.reader_routes import ReaderRoutes
from avowal.web.tab_routes import TabRoutes
from avowal.web.visitor_routes import VisitorRoutes


def build_endpoints(
    session: Session,
    event_writer: EventWriter,
    visitor_keys: VisitorKeyFactory,
    line_queue: LineBuffer,
    health_checks: Callable[[], Mapping[str, str]],
    list_warnings: Callable[[], Sequence[str]],
) -> Endpoints:
    """Return the routes; all that check passwords and keys share one limit of attempts."""
    folder, register = session.folder, session.register
    settings, attempt_limiter = folder.settings, AttemptLimiter()
    home_url = settings.site.host and f"https://{settings.site.host}{settings.serve.base_path}"
    status = PolicyStatus(
        register,
        lambda since: session.call(CountRecordsSince(since)),
        partial(read_last_result, folder.data_folder, register.sealer.authenticate),
    )
    policy_pages = PolicyPages(register, PAGE_LINKS._replace(canonical_url=home_url), status)
    proxies = TrustedProxies.parse(settings.serve.trusted_proxies, settings.serve.client_address_header)
    visitor = VisitorRoutes(policy_pages, proxies, _visitor_key_of(visitor_keys), VisitorDataAccess(session))
    notice = NoticeRoutes(settings.site, register, proxies, register.ledger.sign_checkpoint)
    syslog_host, _, syslog_port = settings.serve.syslog_address.rpartition(":")
    return Endpoints(
        collect=CollectEndpoint(settings, event_writer, proxies),
        script=ScriptEndpoint(
            event_writer.current_admission, notice.encode_notice, settings.collect.download_extensions
        ),
        reader=_build_reader_routes(session, policy_pages, proxies, attempt_limiter),
        policy=PolicyRoutes(policy_pages, register.ledger),
        notice=notice,
        visitor=visitor,
        tab=TabRoutes(visitor, frozenset({settings.site.host, *settings.site.other_hosts} - {""})),
        proof_check=ProofCheckRoutes(policy_pages, str(register.ledger.signer.verifier)),
        gpc=GpcRoutes(policy_pages),
        submit=_build_submit_endpoint(session, visitor_keys, proxies),
        release=_build_release_endpoint(session, proxies, attempt_limiter),
        processor_feed=_build_processor_feed(session, proxies, attempt_limiter),
        health_checks=health_checks,
        list_warnings=list_warnings,
        syslog_listener=SyslogListener(line_queue, proxies.is_trusted),
        syslog_address=(syslog_host.strip("[]"), int(syslog_port)) if syslog_port else None,
    )


def _visitor_key_of(visitor_keys: VisitorKeyFactory) -> Callable[[str], str]:
    """Return a function from a cookie's identifier to the visitor's key."""
    return lambda identifier: f"{compute_cookie_visitor_id(visitor_keys.cookie_secret, identifier):016x}"


def _build_release_endpoint(
    session: Session, proxies: TrustedProxies, attempt_limiter: AttemptLimiter
) -> ReleaseEndpoint:
    return ReleaseEndpoint(
        workflow=session.release_workflow,
        proxies=proxies,
        attempt_limiter=attempt_limiter,
    )


def _build_processor_feed(
    session: Session, proxies: TrustedProxies, attempt_limiter: AttemptLimiter
) -> ProcessorFeedEndpoint:
    workflow = session.release_workflow

    def record_refusal(processor: str, reason: RefusalReason) -> None:
        workflow.record_refusal(OWN_USE, PROCESSOR, reason, processor)

    return ProcessorFeedEndpoint(session.processor_feed, record_refusal, proxies, attempt_limiter)


def _build_reader_routes(
    session: Session, policy_pages: PolicyPages, proxies: TrustedProxies, attempt_limiter: AttemptLimiter
) -> ReaderRoutes:
    return ReaderRoutes(
        site=session.folder.settings.site,
        policy_pages=policy_pages,
        readers=session.register.readers,
        passwords=session.register.passwords,
        release_requests=session.register.release_requests,
        signer=TimestampSigner(read_or_create_secret(session.folder.keys_folder / SIGN_IN_KEY_FILE)),
        run_report=lambda request: session.call(RunReport(request)),
        proxies=proxies,
        attempt_limiter=attempt_limiter,
    )


def _build_submit_endpoint(
    session: Session, visitor_keys: VisitorKeyFactory, proxies: TrustedProxies
) -> SubmitEndpoint:
    folder = session.folder
    return SubmitEndpoint(
        settings=folder.settings,
        register=session.register,
        visitor_keys=visitor_keys,
        file_name_key=read_or_create_secret(folder.keys_folder / FILE_NAME_KEY_FILE),
        proxies=proxies,
    )
