"""How the process that owns a data folder answers requests about what is stored."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from avowal.clock import utc_now
from avowal.config import Folder
from avowal.keep.enforcement import (
    PolicyEnforcer,
    compute_governing_bounds,
    effective_versions,
    find_governing_bounds,
)
from avowal.policy.bounds import Bounds
from avowal.register.register import Register
from avowal.store.interface import Store, VisitRules
from avowal.use.purpose_view import PurposeView
from avowal.workspace.messages import Answer, AnyRequest, Request, unknown_request_error


@dataclass(frozen=True)
class FolderOwner:
    """An open folder in the process that owns it: what a request is answered from. Any number of threads may use it."""

    folder: Folder
    register: Register
    enforcer: PolicyEnforcer
    store: Store
    request_types: tuple[type[AnyRequest], ...] = field(repr=False)

    def handle(self, request: Request[Answer]) -> Answer:
        """Return the answer to a request; see RequestHandler."""
        if not isinstance(request, OwnerRequest):
            raise unknown_request_error(str(request.__struct_config__.tag))
        if request.needs_consents:
            self.enforcer.apply_consents(self.store, utc_now())
        answer: Answer = request.answer(self)
        return answer

    def derive_views(self) -> None:
        """Derive views and visits from what was loaded."""
        self.enforcer.derive_visits(self.store, utc_now())

    def version_starts(self) -> list[datetime]:
        """Return the time from which each version of the terms is in force, from number 1 on."""
        return [version.effective_at for version in self.register.versions()]

    def governing_bounds(self, now: datetime) -> list[Bounds]:
        """Return the bounds of each governing number, from 1 on, at a moment."""
        return find_governing_bounds(self.register.versions(), now)

    def purpose_view(self, purpose: str) -> PurposeView:
        """Return what a purpose may see now."""
        now = utc_now()
        versions = effective_versions(self.register.versions(), now)
        identity = versions[-1].identity if versions else ""
        return PurposeView(self.store, compute_governing_bounds(versions), purpose, now, identity)


class OwnerRequest(Request[Answer], frozen=True):
    """A request about what is stored."""

    needs_consents: ClassVar[bool] = True
    """Whether recorded consents, withdrawals, erasures and new versions are applied to the store first."""

    def answer(self, owner: FolderOwner) -> Answer:
        """Return the answer; called in the process that owns the folder."""
        raise NotImplementedError


def visit_rules(folder: Folder) -> VisitRules:
    """Return the rules by which the folder's settings derive views and visits."""
    day_start = folder.day_start
    return VisitRules(
        folder.settings.collect.visit_gap_minutes,
        folder.settings.site.timezone,
        day_start.hour * 60 + day_start.minute,
    )
