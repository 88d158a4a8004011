"""A request for a release, with what it releases under the current terms and data."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from avowal.disclose.extract import Extract
from avowal.disclose.package import PackageManifest
from avowal.ledger.release_entry import ReleaseMade, ReleaseSummary
from avowal.policy.ground import GroundRequirements
from avowal.register.register import Version
from avowal.register.release_requests import ReleaseRequest
from avowal.register.releases import ReleaseSubject, combine_commitments


class PreparedRelease(NamedTuple):
    """A request, and what it releases under the current terms and data: the result of one extraction."""

    request: ReleaseRequest
    version: Version
    """The version in force."""
    requirements: GroundRequirements
    """What that version requires on the ground, and the terms that govern the records of the extract."""
    extract: Extract
    seen_entries: int
    """How many entries the ledger had before the extraction. An erasure after them makes the extract invalid."""

    @property
    def categories(self) -> list[str]:
        """The categories that are released."""
        refused = self.extract.refused_categories
        return [category for category in self.request.summary.categories if category not in refused]

    def build_manifest(self, file_hashes: dict[str, str], released_at: datetime) -> PackageManifest:
        """Return the manifest of the package with these files, as released at a time."""
        request, details = self.request.summary, self.request.details
        terms = self.version.terms
        return PackageManifest(
            summary=ReleaseSummary(
                reference=request.reference,
                ground=request.ground,
                recipient_kind=request.recipient_kind,
                categories=self.categories,
                records=self.extract.record_counts,
                version=self.version.number,
                released_at=released_at,
                expires_at=released_at + timedelta(days=details.expires_days),
                sealed_until=details.sealed_until,
            ),
            recipient=details.recipient,
            row_filter=details.row_filter,
            controller=terms.controller,
            contact=terms.contact,
            refused_categories=self.extract.refused_categories,
            file_hashes=file_hashes,
        )

    def build_ledger_entry(
        self, manifest: PackageManifest, subjects: Sequence[ReleaseSubject]
    ) -> ReleaseMade:
        """Return the entry of the release in the ledger, with its visitors."""
        return ReleaseMade(
            summary=manifest.summary,
            manifest_hash=manifest.sha256,
            commitment=combine_commitments([subject.commitment for subject in subjects]),
            visitor_count=len(subjects),
            age_reach=self.extract.age_reach,
        )
