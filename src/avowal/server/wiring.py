"""The doors of a server over a folder: each with what it needs of it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from avowal.app.session import Session
from avowal.app.visitor_data import Persons
from avowal.change.draft import forms_of
from avowal.cli.visitor import subject_of
from avowal.collect.client_address import Proxies
from avowal.collect.cookie import visitor_number
from avowal.collect.script_event import Visitors
from avowal.ingest.syslog import Lines, Listener
from avowal.keep.visitor_lookup import Subject
from avowal.key_files import COOKIE_KEY, FILES_KEY, SIGN_IN_KEY, secret
from avowal.policy.bounds import OWN_USE, PROCESSOR
from avowal.register.release_requests import Why
from avowal.verify.last_result import last

if TYPE_CHECKING:
    from avowal.endpoints.attempt_limit import Tries
    from avowal.endpoints.event_writer import Desk
    from avowal.endpoints.processor_feed import FeedDoor
    from avowal.endpoints.release import Disclosing
    from avowal.endpoints.submit import Submitting
    from avowal.server.application import Doors
    from avowal.web.policy_pages import Policy
    from avowal.web.reader_pages import ReadersDoor
    from avowal.web.visitor_routes import Own


def doors(
    at_work: Session, desk: "Desk", visitors: Visitors, lines: Lines, checks: Callable[[], Mapping[str, str]]
) -> "Doors":
    """Return the doors; whoever tries passwords and keys is counted at all of them together."""
    from avowal.endpoints.attempt_limit import Tries
    from avowal.endpoints.collect import Collecting
    from avowal.endpoints.script import Script
    from avowal.server.application import Doors  # as all of the web: with the server only
    from avowal.web.notice_routes import Noticing
    from avowal.web.policy_pages import Policy
    from avowal.web.policy_routes import LINKS, Pages
    from avowal.web.policy_status import Living
    from avowal.web.proof_check import Checking
    from avowal.web.tab_page import Tab

    settings, tries = at_work.folder.settings, Tries()
    home = settings.site.host and f"https://{settings.site.host}"
    living = Living(at_work.register, at_work.kept_since, partial(last, at_work.folder.data))
    policy = Policy(at_work.register, LINKS._replace(canonical=home), living)
    proxies = Proxies.of(settings.serve.trusted_proxies)
    own = _own(at_work, policy, proxies)
    noticing = Noticing(settings.site, at_work.register, proxies, at_work.register.ledger.sign)
    syslog, _, port = settings.serve.syslog.rpartition(":")
    return Doors(
        Collecting(settings, desk, proxies),
        Script(desk.gate, noticing.told, settings.collect.downloads),
        _readers(at_work, policy, proxies, tries),
        Pages(policy, at_work.register.ledger),
        noticing,
        own,
        Tab(own, frozenset({settings.site.host, *settings.site.hosts} - {""})),
        Checking(policy, str(at_work.register.ledger.signer.verifier)),
        _submitting(at_work, visitors, proxies),
        _disclosing(at_work, proxies, tries),
        _feeding(at_work, proxies, tries),
        checks,
        Listener(lines, proxies.trusts),
        (syslog.strip("[]"), int(port)) if port else None,
    )


def _disclosing(at_work: Session, proxies: Proxies, tries: "Tries") -> "Disclosing":
    """Return what takes requests for releases."""
    from avowal.endpoints.release import Disclosing

    def subject(word: str, since: str, until: str) -> Subject:
        return subject_of(word, since, until, at_work)

    return Disclosing(at_work.desk, subject, at_work.folder.zone, proxies, tries)


def _own(at_work: Session, policy: "Policy", proxies: Proxies) -> "Own":
    """Return what gives visitors what is theirs."""
    from avowal.web.visitor_routes import Own

    secret_key = secret(at_work.folder.keys / COOKIE_KEY)

    def key_of(identifier: str) -> str:
        return f"{visitor_number(secret_key, identifier):016x}"

    return Own(policy, proxies, key_of, Persons(at_work))


def _feeding(at_work: Session, proxies: Proxies, tries: "Tries") -> "FeedDoor":
    """Return what processors pull from."""
    from avowal.endpoints.processor_feed import FeedDoor

    def refuse(name: str, why: Why) -> None:
        at_work.desk.refuse(OWN_USE, PROCESSOR, why, name)

    return FeedDoor(at_work.feeding, refuse, proxies, tries)


def _readers(at_work: Session, policy: "Policy", proxies: Proxies, tries: "Tries") -> "ReadersDoor":
    """Return the door of those who read."""
    from itsdangerous import TimestampSigner

    from avowal.web.reader_pages import ReadersDoor

    register = at_work.register
    return ReadersDoor(
        site=at_work.folder.settings.site,
        policy=policy,
        readers=register.readers,
        passwords=register.passwords,
        signer=TimestampSigner(secret(at_work.folder.keys / SIGN_IN_KEY)),
        ask=at_work.ask,
        proxies=proxies,
        tries=tries,
    )


def _submitting(at_work: Session, visitors: Visitors, proxies: Proxies) -> "Submitting":
    """Return what takes the forms of the folder's terms."""
    from avowal.endpoints.submit import Submitting

    folder = at_work.folder
    named = secret(folder.keys / FILES_KEY)
    return Submitting(folder.settings, forms_of(folder), at_work.register, visitors, named, proxies)
