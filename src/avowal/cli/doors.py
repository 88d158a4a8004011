"""The doors of a server over a folder: each with what it needs of it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from avowal.change.draft import forms_of
from avowal.cli.persons import Persons
from avowal.cli.session import Session
from avowal.cli.visitor import subject_of
from avowal.collect.beacon import Visitors
from avowal.collect.client import Proxies
from avowal.collect.cookie import visitor_number
from avowal.collect.syslog import Lines, Listener
from avowal.keep.asked import Why
from avowal.keep.keys import COOKIE_KEY, FILES_KEY, SIGN_IN_KEY, secret
from avowal.keep.subject import Subject
from avowal.keep.verified import last
from avowal.policy.bounds import OWN_USE, PROCESSOR

if TYPE_CHECKING:
    from avowal.web.app import Doors
    from avowal.web.desk import Desk
    from avowal.web.disclosing import Disclosing
    from avowal.web.feeding import FeedDoor
    from avowal.web.own import Own
    from avowal.web.policy import Policy
    from avowal.web.reading import ReadersDoor
    from avowal.web.submitting import Submitting
    from avowal.web.tries import Tries


def doors(
    at_work: Session, desk: "Desk", visitors: Visitors, lines: Lines, checks: Callable[[], Mapping[str, str]]
) -> "Doors":
    """Return the doors; whoever tries passwords and keys is counted at all of them together."""
    from avowal.web.app import Doors  # as all of the web: with the server only
    from avowal.web.checking import Checking
    from avowal.web.collecting import Collecting
    from avowal.web.living import Living
    from avowal.web.noticing import Noticing
    from avowal.web.pages import LINKS, Pages
    from avowal.web.policy import Policy
    from avowal.web.script import Script
    from avowal.web.tab import Tab
    from avowal.web.tries import Tries

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
    from avowal.web.disclosing import Disclosing

    def subject(word: str, since: str, until: str) -> Subject:
        return subject_of(word, since, until, at_work)

    return Disclosing(at_work.desk, subject, at_work.folder.zone, proxies, tries)


def _own(at_work: Session, policy: "Policy", proxies: Proxies) -> "Own":
    """Return what gives visitors what is theirs."""
    from avowal.web.own import Own

    secret_key = secret(at_work.folder.keys / COOKIE_KEY)

    def key_of(identifier: str) -> str:
        return f"{visitor_number(secret_key, identifier):016x}"

    return Own(policy, proxies, key_of, Persons(at_work))


def _feeding(at_work: Session, proxies: Proxies, tries: "Tries") -> "FeedDoor":
    """Return what processors pull from."""
    from avowal.web.feeding import FeedDoor

    def refuse(name: str, why: Why) -> None:
        at_work.desk.refuse(OWN_USE, PROCESSOR, why, name)

    return FeedDoor(at_work.feeding, refuse, proxies, tries)


def _readers(at_work: Session, policy: "Policy", proxies: Proxies, tries: "Tries") -> "ReadersDoor":
    """Return the door of those who read."""
    from itsdangerous import TimestampSigner

    from avowal.web.reading import ReadersDoor

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
    from avowal.web.submitting import Submitting

    folder = at_work.folder
    named = secret(folder.keys / FILES_KEY)
    return Submitting(folder.settings, forms_of(folder), at_work.register, visitors, named, proxies)
