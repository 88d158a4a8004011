"""The doors of a server over a folder: each with what it needs of it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from avowal.app.session import Session
from avowal.app.visitor_data import VisitorDataAccess
from avowal.change.draft import load_forms
from avowal.cli.visitor import parse_subject_argument
from avowal.collect.client_address import TrustedProxies
from avowal.collect.cookie import compute_cookie_visitor_id
from avowal.collect.script_event import VisitorKeyFactory
from avowal.ingest.syslog import LineBuffer, SyslogListener
from avowal.keep.visitor_lookup import VisitorSelector
from avowal.key_files import COOKIE_KEY_FILE, FILE_NAME_KEY_FILE, SIGN_IN_KEY_FILE, read_or_create_secret
from avowal.policy.bounds import OWN_USE, PROCESSOR
from avowal.register.release_requests import RefusalReason
from avowal.verify.last_result import read_last_result

if TYPE_CHECKING:
    from avowal.endpoints.attempt_limit import AttemptLimiter
    from avowal.endpoints.event_writer import EventWriter
    from avowal.endpoints.processor_feed import ProcessorFeedEndpoint
    from avowal.endpoints.release import ReleaseEndpoint
    from avowal.endpoints.submit import SubmitEndpoint
    from avowal.server.application import Endpoints
    from avowal.web.policy_pages import PolicyPages
    from avowal.web.reader_pages import ReaderPages
    from avowal.web.visitor_routes import VisitorPage


def build_endpoints(
    session: Session,
    event_writer: "EventWriter",
    visitor_keys: VisitorKeyFactory,
    line_queue: LineBuffer,
    health_checks: Callable[[], Mapping[str, str]],
) -> "Endpoints":
    """Return the doors; whoever tries passwords and keys is counted at all of them together."""
    from avowal.endpoints.attempt_limit import AttemptLimiter
    from avowal.endpoints.collect import CollectEndpoint
    from avowal.endpoints.script import ScriptEndpoint
    from avowal.server.application import Endpoints  # as all of the web: with the server only
    from avowal.web.notice_routes import NoticeRoutes
    from avowal.web.policy_pages import PolicyPages
    from avowal.web.policy_routes import PAGE_LINKS, PolicyRoutes
    from avowal.web.policy_status import PolicyStatus
    from avowal.web.proof_check import ProofCheckRoutes
    from avowal.web.tab_page import TabPage

    settings, tries = session.folder.settings, AttemptLimiter()
    home = settings.site.host and f"https://{settings.site.host}"
    living = PolicyStatus(
        session.register, session.count_records_since, partial(read_last_result, session.folder.data_folder)
    )
    policy = PolicyPages(session.register, PAGE_LINKS._replace(canonical=home), living)
    proxies = TrustedProxies.parse(settings.serve.trusted_proxies)
    own = _own(session, policy, proxies)
    noticing = NoticeRoutes(settings.site, session.register, proxies, session.register.ledger.sign_checkpoint)
    syslog, _, port = settings.serve.syslog.rpartition(":")
    return Endpoints(
        CollectEndpoint(settings, event_writer, proxies),
        ScriptEndpoint(event_writer.current_admission, noticing.encode_notice, settings.collect.downloads),
        _readers(session, policy, proxies, tries),
        PolicyRoutes(policy, session.register.ledger),
        noticing,
        own,
        TabPage(own, frozenset({settings.site.host, *settings.site.hosts} - {""})),
        ProofCheckRoutes(policy, str(session.register.ledger.signer.verifier)),
        _submitting(session, visitor_keys, proxies),
        _disclosing(session, proxies, tries),
        _feeding(session, proxies, tries),
        health_checks,
        SyslogListener(line_queue, proxies.is_trusted),
        (syslog.strip("[]"), int(port)) if port else None,
    )


def _disclosing(at_work: Session, proxies: TrustedProxies, tries: "AttemptLimiter") -> "ReleaseEndpoint":
    """Return what takes requests for releases."""
    from avowal.endpoints.release import ReleaseEndpoint

    def subject(word: str, since: str, until: str) -> VisitorSelector:
        return parse_subject_argument(word, since, until, at_work)

    return ReleaseEndpoint(at_work.release_workflow, subject, at_work.folder.time_zone, proxies, tries)


def _own(at_work: Session, policy: "PolicyPages", proxies: TrustedProxies) -> "VisitorPage":
    """Return what gives visitors what is theirs."""
    from avowal.web.visitor_routes import VisitorPage

    secret_key = read_or_create_secret(at_work.folder.keys_folder / COOKIE_KEY_FILE)

    def key_of(identifier: str) -> str:
        return f"{compute_cookie_visitor_id(secret_key, identifier):016x}"

    return VisitorPage(policy, proxies, key_of, VisitorDataAccess(at_work))


def _feeding(at_work: Session, proxies: TrustedProxies, tries: "AttemptLimiter") -> "ProcessorFeedEndpoint":
    """Return what processors pull from."""
    from avowal.endpoints.processor_feed import ProcessorFeedEndpoint

    def refuse(name: str, why: RefusalReason) -> None:
        at_work.release_workflow.record_refusal(OWN_USE, PROCESSOR, why, name)

    return ProcessorFeedEndpoint(at_work.processor_feed, refuse, proxies, tries)


def _readers(
    at_work: Session, policy: "PolicyPages", proxies: TrustedProxies, tries: "AttemptLimiter"
) -> "ReaderPages":
    """Return the door of those who read."""
    from itsdangerous import TimestampSigner

    from avowal.web.reader_pages import ReaderPages

    register = at_work.register
    return ReaderPages(
        site=at_work.folder.settings.site,
        policy_pages=policy,
        readers=register.readers,
        passwords=register.passwords,
        signer=TimestampSigner(read_or_create_secret(at_work.folder.keys_folder / SIGN_IN_KEY_FILE)),
        run_report=at_work.run_report,
        proxies=proxies,
        attempt_limit=tries,
    )


def _submitting(at_work: Session, visitors: VisitorKeyFactory, proxies: TrustedProxies) -> "SubmitEndpoint":
    """Return what takes the forms of the folder's terms."""
    from avowal.endpoints.submit import SubmitEndpoint

    folder = at_work.folder
    named = read_or_create_secret(folder.keys_folder / FILE_NAME_KEY_FILE)
    return SubmitEndpoint(folder.settings, load_forms(folder), at_work.register, visitors, named, proxies)
