"""A data folder that is open: its settings, its register, and what answers requests about what is stored."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from avowal.app.folder import create_pipeline_factory, find_admission_rules, find_folder, open_register_of
from avowal.app.owner import FolderOwner, visit_rules
from avowal.app.owner_requests import (
    REQUEST_TYPES,
    DeriveViews,
    ExtractRelease,
    FindVisitorRecords,
    ReadFeedBatch,
)
from avowal.app.visitor_requests import ReadVisitorPage
from avowal.change.draft import find_terms_path, load_draft
from avowal.change.draft_check import find_placeholders
from avowal.clock import utc_now
from avowal.collect.admission import AdmissionRules
from avowal.collect.visitor_key import SALTS_FILE_NAME, SaltFile
from avowal.config import Folder
from avowal.disclose.feed import FeedProvider
from avowal.disclose.workflow import ReleaseWorkflow
from avowal.errors import RefusedError, TermsError
from avowal.ingest.importer import LOG_KEY_FILE_NAME
from avowal.ingest.pipeline_factory import PipelineFactory
from avowal.keep.enforcement import PolicyEnforcer, find_version_in_force
from avowal.keep.visitor_lookup import VisitorSelector, parse_visitor_selector
from avowal.key_files import COOKIE_KEY_FILE, FEED_KEY_FILE, read_or_create_secret
from avowal.policy.terms import compile_terms
from avowal.register.register import Register, Version
from avowal.store.interface import ResultTable, Store
from avowal.use.report_request import parse_time
from avowal.workspace.client import FolderClient
from avowal.workspace.messages import Answer, Request
from avowal.workspace.ownership import open_backend
from avowal.workspace.server import FolderServer

DEFAULT_TERMS_MESSAGE = (
    "no avowal.toml here or above: using the default terms (`avowal init .` makes your own to change)"
)
"""Printed when data is collected without a folder of one's own."""

NO_VERSION_MESSAGE = (
    "nothing is collected yet: edit `policy/terms.toml` and the documents beside it, then `avowal policy check` and "
    "`avowal policy adopt`; the server goes on by itself"
)
"""Printed when a server starts before the terms are adopted."""

TRIAL_MESSAGE = (
    "the terms in force still have placeholders: this is a trial. For a site, begin in a new folder: edit the policy, "
    "then `avowal policy check` and `avowal policy adopt`, and only then import"
)
"""Printed when a log is imported under the terms that `avowal init` wrote, which the import has put into force."""


@dataclass(frozen=True)
class Session:
    """An open data folder. Requests are answered in this process, or by the process that owns the folder."""

    folder: Folder
    register: Register
    backend: FolderServer | FolderClient

    def call(self, request: Request[Answer]) -> Answer:
        """Return the answer to a request. Raises the AvowalError that its class names."""
        return self.backend.call(request)

    def derive_views(self) -> None:
        """Derive views and visits from what was loaded."""
        self.call(DeriveViews())

    def admission_rules(self, moment: datetime) -> list[AdmissionRules]:
        """Return what admission needs of each version that has taken effect by a moment."""
        return find_admission_rules(self.register, moment)

    @property
    def pipeline_factory(self) -> PipelineFactory:
        """Return what makes pipelines under the folder's settings and versions."""
        return create_pipeline_factory(self.folder, self.register)

    def parse_visitor(self, text: str, since: str, until: str) -> VisitorSelector:
        """Parse a visitor's key, a cookie's identifier, or an address with the period in which the visitor had it.

        Raises InvalidInputError if it is none of them.
        """
        zone, now = self.folder.time_zone, utc_now()
        return parse_visitor_selector(
            text,
            parse_time(since, zone, now) if since else None,
            parse_time(until, zone, now, is_end=True) if until else None,
            read_or_create_secret(self.folder.keys_folder / COOKIE_KEY_FILE),
        )

    @property
    def release_workflow(self) -> ReleaseWorkflow:
        """Return how releases are requested, approved and made."""
        return ReleaseWorkflow(
            self.register,
            self.folder.time_zone,
            self.parse_visitor,
            lambda selector: self.call(FindVisitorRecords(selector)),
            lambda request: self.call(ExtractRelease(request)),
        )

    @property
    def processor_feed(self) -> FeedProvider:
        """Return what provides processors with the pages of their feeds."""
        return FeedProvider(
            self.register,
            lambda request: self.call(ReadFeedBatch(request)),
            read_or_create_secret(self.folder.keys_folder / FEED_KEY_FILE),
        )

    def read_visitor_pages(self, keys: Sequence[str], relation: str) -> Iterator[ResultTable]:
        """Yield everything that is stored of visitors in a relation, in pages of at most VISITOR_PAGE_ROWS rows."""
        for key in keys:
            others = tuple(other for other in keys if other != key)
            page = self.call(ReadVisitorPage(key, relation, other_keys=others))
            while page.last_row is not None:
                yield page.table
                page = self.call(ReadVisitorPage(key, relation, page.last_row, others))


def find_version(versions: list[Version], number: int) -> Version:
    """Return the version with a number; the one in force for 0. Raises RefusedError if there is none."""
    if number == 0:
        return find_version_in_force(versions, utc_now())
    fitting = [version for version in versions if version.number == number]
    if not fitting:
        hint = "`avowal policy history` lists the versions"
        raise RefusedError("there is no such version", hint, code="version-not-found")
    return fitting[-1]


@contextmanager
def open_session(
    data_folder: Path | None, *, adopt_terms: bool = False, adopt_template: bool = True
) -> Iterator[Session]:
    """Open the folder, and close it at the end.

    With `adopt_terms`, for commands that collect, the folder's terms become the first version if there is none yet; if
    they still have placeholders of the template, only with `adopt_template`.
    Raises SettingsError and TermsError if a file of the folder is not valid.
    """
    folder = find_folder(data_folder)
    with open_session_of(folder, adopt_terms=adopt_terms, adopt_template=adopt_template) as session:
        yield session


@contextmanager
def open_session_of(
    folder: Folder, *, adopt_terms: bool = False, adopt_template: bool = True
) -> Iterator[Session]:
    """Open a folder that was found; see `open_session`."""
    with closing(
        open_register_of(folder, adopt_terms=adopt_terms, adopt_template=adopt_template)
    ) as register:
        # The import itself refuses to go on without the key of logs.
        register.known_keys.check(LOG_KEY_FILE_NAME)
        SaltFile(folder.keys_folder / SALTS_FILE_NAME).destroy_expired(utc_now())

        def create_owner(store: Store) -> FolderOwner:
            enforcer = PolicyEnforcer(register, visit_rules(folder))
            return FolderOwner(folder, register, enforcer, store, REQUEST_TYPES)

        with closing(open_backend(folder, create_owner, register.stores)) as backend:
            if isinstance(backend, FolderServer) and _needs_derivation(backend, folder):
                backend.call(DeriveViews())
            yield Session(folder, register, backend)


def _needs_derivation(backend: FolderServer, folder: Folder) -> bool:
    """Return whether views and visits lack something that was recovered, or were derived by other rules."""
    return backend.needs_derivation or backend.store.applied_visit_rules() not in {None, visit_rules(folder)}


def describe_terms_in_use(session: Session) -> list[str]:
    """Return sentences about what an operator might not expect of the terms under which data is collected."""
    if session.folder.policy_folder is None and session.register.versions():
        return [DEFAULT_TERMS_MESSAGE]
    if not (versions := session.register.versions()):
        return [NO_VERSION_MESSAGE]
    last = versions[-1]
    try:
        draft = load_draft(find_terms_path(session.folder))
        compiled = compile_terms(draft.terms)
    except TermsError as error:
        return [f"the terms in the folder are not valid, and version {last.number} applies: {error.message}"]
    if compiled.identity == last.identity:
        return [TRIAL_MESSAGE] if any(find_placeholders(draft)) else []
    sentence = (
        f"the terms in the folder ({compiled.identity[:8]}…) are a draft: version {last.number} "
        f"({last.identity[:8]}…) applies until `avowal policy publish`"
    )
    return [sentence]
