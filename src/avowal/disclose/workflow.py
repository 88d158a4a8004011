"""From what somebody asks for to a package that its recipient can check: each step is on record before the next.

The rules stand in `docs/spec/releases.md`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from avowal.clock import utc_now
from avowal.disclose.contract_check import version_in_force
from avowal.disclose.evidence import AUTHORISATION, FUNCTION, asked_for, gathered, limit, needed
from avowal.disclose.extract import Asked, Extent, handed_over, together
from avowal.disclose.package import Manifest, files, hashes, packed
from avowal.disclose.request import Words, check, kind_of
from avowal.errors import DisclosureError, QueryError, RefusedError
from avowal.keep.enforcement import governs, in_force
from avowal.keep.visitor_lookup import Held, Subject
from avowal.policy.bounds import OPERATOR
from avowal.policy.form import Form
from avowal.policy.ground import Need
from avowal.policy.terms import parse_terms
from avowal.register.register import SqliteRegister
from avowal.register.release_requests import WAITS_DAYS, Request, Why
from avowal.register.releases import Release
from avowal.submissions.submission import Submission, new_reference


class Made(NamedTuple):
    """A release that was made."""

    manifest: Manifest
    entry: int
    """The number of its entry in the ledger."""
    package: bytes


@dataclass(frozen=True)
class Desk:
    """Where releases are asked for, approved and made."""

    register: SqliteRegister
    forms: Callable[[], Mapping[str, Form]]
    held: Callable[[Subject], Held]
    """Finds whom a subject is; see `keep.subject`."""
    extent: Callable[[Asked], Extent]
    """Cuts what is stored; see `disclose.release`."""

    def ask(self, words: Words) -> Request:
        """Return what somebody asks for as a request, which is not recorded yet.

        Raises MisuseError where it is no request, and DisclosureError where the answer is no already.
        """
        version, now = version_in_force(self.register), utc_now()
        need = needed(version, words.ground)
        visitor = self._visitor(words, need)
        check(words, need, now)
        return Request(
            reference=new_reference(),
            ground=words.ground,
            recipient_kind=kind_of(version, words),
            categories=words.categories,
            version=version.number,
            approvals=need.approvals,
            recipient=words.to.strip(),
            contact=words.contact.strip(),
            visitor=visitor,
            rows=words.rows.strip(),
            submission=words.submission,
            evidence=gathered(need, words.evidence, words.reference, words.rows.strip(), now),
            by=words.by,
            expires_days=words.expires_days,
            sealed_until=words.sealed_until,
            asked_at=now,
        )

    def need(self, ground: str) -> Need:
        """Return what the version in force needs on a ground; see `needed`."""
        return needed(version_in_force(self.register), ground)

    def extent_of(self, request: Request) -> Extent:
        """Return what a request would release, by what holds now. Raises DisclosureError where that is nothing."""
        need = self.need(request.ground)
        if lacking := sorted({*need.evidence} - {AUTHORISATION, *request.evidence}):
            told = ", ".join(lacking)
            raise DisclosureError(f"the version in force needs more by now: {told}", "ask anew", Why.EVIDENCE)
        within = limit(self.register, self.forms(), need, request)
        left = [one for one in request.categories if one not in within.refused]
        asked = Asked(request.ground, request.recipient_kind, request.visitor, left, request.rows)
        try:
            found = self._cut(request, asked, within.submission)
        except QueryError as error:
            raise DisclosureError(error.message, error.hint, Why.TERMS) from None
        found = found._replace(refused={**within.refused, **found.refused})
        if not found.apart:
            raise DisclosureError(
                "that holds everybody's records of its period: nothing sets those of the case apart",
                "choose by what the case is about, such as a page, a status or an address",
                Why.OTHERS,
            )
        if not found.tables:
            told = "; ".join(f"{what}: {why}" for what, why in found.refused.items())
            raise DisclosureError(f"nothing may be released: {told}", "", Why.TERMS)
        return found

    def approve(self, reference: str, name: str, password: str) -> Request:
        """Record that somebody else approves a request; whoever has the machine needs no password.

        Raises DisclosureError where they may not.
        """
        request = self.one(reference)
        with self.on_record(request.ground, request.recipient_kind, name):
            self.register.readers.check_discloses(name)
            if name != OPERATOR and not self.register.passwords.check(name, password):
                hint = "`avowal user password` gives one"
                raise DisclosureError(f"this is not the password of `{name}`", hint, Why.RIGHT)
            if name == request.by:
                raise DisclosureError(
                    f"`{name}` asked for it: somebody else has to approve it", "", Why.APPROVAL
                )
            if name in self.register.asking.approved_by(reference):
                raise DisclosureError(f"`{name}` approved it before", "somebody else has to", Why.APPROVAL)
        self.register.asking.approve(request, name, utc_now())
        self.register.ledger.sign()
        return request

    def record(self, words: Words) -> Request:
        """Return what somebody asks for as a request that is recorded, once it is known that some of it may leave.

        Raises as `ask` and `extent_of` do.
        """
        request = self.ask(words)
        self.extent_of(request)
        request = self.register.asking.record(request)
        self.register.ledger.sign()
        return request

    def make(self, request: Request) -> Made:
        """Release what was requested: record it, and then make its package.

        Raises DisclosureError where others have not approved it, or the answer is no by now.
        """
        owed = max(request.approvals, self.need(request.ground).approvals)
        missing = owed - len(self.register.asking.approved_by(request.reference))
        if missing > 0:
            raise DisclosureError(
                f"{missing} more have to approve `{request.reference}`",
                "`avowal release approve`",
                Why.APPROVAL,
            )
        releases, looked = self.register.releases, self.register.ledger.size()
        found, before = self.extent_of(request), releases.unwritten(request.reference)
        contents = {**files(found.tables), **found.files}
        manifest = self._manifest(
            request, found, hashes(contents), before.released_at if before else utc_now()
        )
        if before and before.manifest != manifest.sha256:
            raise RefusedError(
                f"what is held changed since `{request.reference}` was recorded, and its package was never written",
                "recall it (`avowal release recall`), and ask anew",
            )
        entry = before.entry if before else self._record(request, found, manifest, looked)
        return Made(manifest, entry, packed(manifest, contents, str(self.register.ledger.receipt(entry))))

    def written(self, made: Made) -> None:
        """Record that the package of a release is where it belongs: until then it can be made once more, the same."""
        self.register.releases.written(made.manifest.reference, utc_now())

    def _record(self, request: Request, found: Extent, manifest: Manifest, looked: int) -> int:
        release = Release(
            **{name: getattr(manifest, name) for name in IN_BOTH},
            records=sum(found.records.values()),
            manifest=manifest.sha256,
            sealed_until=request.sealed_until,
        )
        authorised = AUTHORISATION in self.need(request.ground).evidence
        recorded = self.register.releases.record(
            release, found.whose, found.reached, authorised=authorised, looked=looked
        )
        return recorded.entry

    def one(self, reference: str) -> Request:
        """Return a request that waits. Raises RefusedError where there is none, or it waited for too long."""
        request = self.register.asking.one(reference)
        if request.reference not in {one.reference for one in self.register.asking.waiting(utc_now())}:
            raise RefusedError(
                f"`{reference}` was released, or waited for more than {WAITS_DAYS} days", "ask anew"
            )
        return request

    @contextmanager
    def on_record(self, ground: str, kind: str, by: str) -> Iterator[None]:
        """Record whatever is refused of an attempt to disclose."""
        try:
            yield
        except DisclosureError as error:
            self.refuse(ground, kind, Why(error.why), by)
            raise

    def refuse(self, ground: str, kind: str, why: Why, by: str) -> None:
        """Record that something was refused."""
        self.register.asking.refuse(ground, kind, why, by, utc_now())
        self.register.ledger.sign()

    def _visitor(self, words: Words, need: Need) -> str:
        """Return the visitor whom a request is about; empty where rows are chosen, or nobody knows who asked for it."""
        if words.about:
            try:
                held = self.held(words.about)
            except RefusedError as error:
                raise DisclosureError(error.message, error.hint, Why.PERSON) from None
            known = held.records or self.register.submissions.all(datetime.min, datetime.max, held.key)
            if not known:
                raise DisclosureError(
                    "nothing is held of that visitor", "look at the visitor's key", Why.PERSON
                )
            return held.key
        if FUNCTION in need.evidence and words.reference.strip():
            return asked_for(self.register, words.reference.strip()).visitor or ""
        return ""

    def _cut(self, request: Request, asked: Asked, only: Submission | None) -> Extent:
        """Return what is stored, and what was handed over, as far as it may be released."""
        if request.rows:
            return self.extent(asked)
        submissions = self.register.submissions
        which = [only] if only else submissions.all(datetime.min, datetime.max, asked.visitor)
        if AUTHORISATION in self.need(request.ground).evidence:
            which = [one for one in which if one.open_to(request.recipient)]
        governed = governs(in_force(self.register.versions(), utc_now()))
        handed = handed_over(submissions, which, governed, asked)
        return together(self.extent(asked), handed) if asked.visitor else handed

    def _manifest(self, request: Request, found: Extent, hashed: dict[str, str], at: datetime) -> Manifest:
        version = version_in_force(self.register)
        terms = parse_terms(version.terms, "the terms in force")
        return Manifest(
            reference=request.reference,
            controller=terms.controller,
            contact=terms.contact,
            ground=request.ground,
            recipient=request.recipient,
            recipient_kind=request.recipient_kind,
            categories=[one for one in request.categories if one not in found.refused],
            version=version.number,
            records=found.records,
            refused=found.refused,
            released_at=at,
            expires_at=at + timedelta(days=request.expires_days),
            files=hashed,
        )


IN_BOTH = (
    "reference",
    "ground",
    "recipient_kind",
    "recipient",
    "categories",
    "version",
    "released_at",
    "expires_at",
)
"""What a release and the manifest of its package have alike."""
