"""The tables of the register, whose schema stands in `sql/register/`; those of the ledger are in `ledger.py`."""

import sqlalchemy as sa

_METADATA = sa.MetaData()
PUBLICATIONS = sa.Table(
    "publications",
    _METADATA,
    sa.Column("publication", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer),
    sa.Column("identity", sa.Text),
    sa.Column("canonical_terms", sa.Text),
    sa.Column("terms_text", sa.Text),
    sa.Column("effective_at", sa.DateTime),
    sa.Column("published_at", sa.DateTime),
)
WITHDRAWALS = sa.Table(
    "withdrawals",
    _METADATA,
    sa.Column("publication", sa.Integer, primary_key=True),
    sa.Column("withdrawn_at", sa.DateTime),
)
DOCUMENTS = sa.Table(
    "documents",
    _METADATA,
    sa.Column("document", sa.Integer, primary_key=True),
    sa.Column("publication", sa.Integer),
    sa.Column("language", sa.Text),
    sa.Column("text", sa.Text),
    sa.Column("sha256", sa.Text),
    sa.Column("recorded_at", sa.DateTime),
)
CONSENTS = sa.Table(
    "consents",
    _METADATA,
    sa.Column("consent", sa.Integer, primary_key=True),
    sa.Column("publication", sa.Integer),
    sa.Column("given", sa.Boolean),
    sa.Column("language", sa.Text),
    sa.Column("document_hash", sa.Text),
    sa.Column("channel", sa.Text),
    sa.Column("commitment", sa.Text),
    sa.Column("entry", sa.Integer),
    sa.Column("recorded_at", sa.DateTime),
)
CONSENT_SUBJECTS = sa.Table(
    "consent_subjects",
    _METADATA,
    sa.Column("consent", sa.Integer, primary_key=True),
    sa.Column("visitor", sa.Text),
    sa.Column("reference", sa.Text),
    sa.Column("salt", sa.LargeBinary),
)
NOTICES = sa.Table(
    "notices",
    _METADATA,
    sa.Column("publication", sa.Integer),
    sa.Column("language", sa.Text),
    sa.Column("canonical_json", sa.Text),
)
NOTICE_DISPLAYS = sa.Table(
    "notice_displays",
    _METADATA,
    sa.Column("notice_display", sa.Integer, primary_key=True),
    sa.Column("publication", sa.Integer),
    sa.Column("attested_by_operator", sa.Boolean),
    sa.Column("location", sa.Text),
    sa.Column("entry", sa.Integer),
    sa.Column("recorded_at", sa.DateTime),
)
READERS = sa.Table(
    "readers",
    _METADATA,
    sa.Column("reader", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("purposes", sa.Text),
    sa.Column("can_disclose", sa.Boolean),
    sa.Column("is_automated", sa.Boolean),
    sa.Column("recorded_at", sa.DateTime),
)
ACCESS_COUNTS = sa.Table(
    "access_counts",
    _METADATA,
    sa.Column("day", sa.Text, primary_key=True),
    sa.Column("reader", sa.Text, primary_key=True),
    sa.Column("purpose", sa.Text, primary_key=True),
    sa.Column("accesses", sa.Integer),
)
RETENTION_RUNS = sa.Table(
    "retention_runs",
    _METADATA,
    sa.Column("run_number", sa.Integer, primary_key=True),
    sa.Column("removed_records", sa.Text),
    sa.Column("entry", sa.Integer),
    sa.Column("removed_at", sa.DateTime),
)
PENDING_ERASURES = sa.Table("pending_erasures", _METADATA, sa.Column("visitor", sa.Text, primary_key=True))

STANDING = PUBLICATIONS.c.publication.not_in(sa.select(WITHDRAWALS.c.publication))
"""Whether a publication was not withdrawn."""
AUTHORISATIONS = sa.Table(
    "authorisations",
    _METADATA,
    sa.Column("authorisation", sa.Integer, primary_key=True),
    sa.Column("given", sa.Boolean),
    sa.Column("categories", sa.Text),
    sa.Column("channel", sa.Text),
    sa.Column("commitment", sa.Text),
    sa.Column("entry", sa.Integer),
    sa.Column("recorded_at", sa.DateTime),
)
AUTHORISATION_SUBJECTS = sa.Table(
    "authorisation_subjects",
    _METADATA,
    sa.Column("authorisation", sa.Integer, primary_key=True),
    sa.Column("visitor", sa.Text),
    sa.Column("recipient", sa.Text),
    sa.Column("reference", sa.Text),
    sa.Column("salt", sa.LargeBinary),
)
RELEASE_REQUESTS = sa.Table(
    "release_requests",
    _METADATA,
    sa.Column("release_request", sa.Integer, primary_key=True),
    sa.Column("reference", sa.Text),
    sa.Column("ground", sa.Text),
    sa.Column("recipient_kind", sa.Text),
    sa.Column("categories", sa.Text),
    sa.Column("evidence_kinds", sa.Text),
    sa.Column("required_approvals", sa.Integer),
    sa.Column("version", sa.Integer),
    sa.Column("commitment", sa.Text),
    sa.Column("requested_at", sa.DateTime),
    sa.Column("entry", sa.Integer),
)
RELEASE_REQUEST_SUBJECTS = sa.Table(
    "release_request_subjects",
    _METADATA,
    sa.Column("release_request", sa.Integer, primary_key=True),
    sa.Column("visitor", sa.Text),
    sa.Column("details", sa.Text),
    sa.Column("salt", sa.LargeBinary),
)
RELEASE_APPROVALS = sa.Table(
    "release_approvals",
    _METADATA,
    sa.Column("release_approval", sa.Integer, primary_key=True),
    sa.Column("reference", sa.Text),
    sa.Column("approver", sa.Text),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("commitment", sa.Text),
    sa.Column("approved_at", sa.DateTime),
    sa.Column("entry", sa.Integer),
)
RELEASE_REFUSALS = sa.Table(
    "release_refusals",
    _METADATA,
    sa.Column("release_refusal", sa.Integer, primary_key=True),
    sa.Column("ground", sa.Text),
    sa.Column("recipient_kind", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("requester", sa.Text),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("commitment", sa.Text),
    sa.Column("refused_at", sa.DateTime),
    sa.Column("entry", sa.Integer),
)
RELEASES = sa.Table(
    "releases",
    _METADATA,
    sa.Column("release", sa.Integer, primary_key=True),
    sa.Column("reference", sa.Text),
    sa.Column("ground", sa.Text),
    sa.Column("recipient_kind", sa.Text),
    sa.Column("categories", sa.Text),
    sa.Column("records", sa.Integer),
    sa.Column("version", sa.Integer),
    sa.Column("manifest_hash", sa.Text),
    sa.Column("commitment", sa.Text),
    sa.Column("released_at", sa.DateTime),
    sa.Column("expires_at", sa.DateTime),
    sa.Column("recalled_at", sa.DateTime),
    sa.Column("sealed_until", sa.DateTime),
    sa.Column("written_at", sa.DateTime),
    sa.Column("entry", sa.Integer),
)
RELEASE_SUBJECTS = sa.Table(
    "release_subjects",
    _METADATA,
    sa.Column("release", sa.Integer, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("commitment", sa.Text),
    sa.Column("visitor", sa.Text),
    sa.Column("recipient", sa.Text),
    sa.Column("salt", sa.LargeBinary),
)
PROCESSORS = sa.Table(
    "processors",
    _METADATA,
    sa.Column("processor", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("contract_text", sa.Text),
    sa.Column("version_identity", sa.Text),
    sa.Column("entry", sa.Integer),
    sa.Column("recorded_at", sa.DateTime),
)
SUBMISSIONS = sa.Table(
    "submissions",
    _METADATA,
    sa.Column("submission", sa.Integer, primary_key=True),
    sa.Column("reference", sa.Text),
    sa.Column("form", sa.Text),
    sa.Column("channel", sa.Text),
    sa.Column("visitor", sa.Text),
    sa.Column("version", sa.Integer),
    sa.Column("submitted_at", sa.DateTime),
    sa.Column("recorded_at", sa.DateTime),
    sa.Column("keep_until", sa.DateTime),
)
SUBMISSION_FIELDS = sa.Table(
    "submission_fields",
    _METADATA,
    sa.Column("submission_field", sa.Integer, primary_key=True),
    sa.Column("submission", sa.Integer),
    sa.Column("field", sa.Text),
    sa.Column("category", sa.Text),
    sa.Column("ciphertext", sa.LargeBinary),
    sa.Column("file_name", sa.Text),
)
PASSWORDS = sa.Table(
    "passwords",
    _METADATA,
    sa.Column("password", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("hash", sa.LargeBinary),
    sa.Column("recorded_at", sa.DateTime),
)
FEED_KEYS = sa.Table(
    "feed_keys",
    _METADATA,
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("processor", sa.Text),
    sa.Column("hash", sa.Text),
    sa.Column("issued_at", sa.DateTime),
    sa.Column("ends_at", sa.DateTime),
)
FEED_PAGES = sa.Table(
    "feed_pages",
    _METADATA,
    sa.Column("page", sa.Integer, primary_key=True),
    sa.Column("processor", sa.Text),
    sa.Column("reference", sa.Text),
    sa.Column("contract_hash", sa.Text),
    sa.Column("version", sa.Integer),
    sa.Column("position", sa.Text),
    sa.Column("records", sa.Text),
    sa.Column("deletions", sa.Integer),
    sa.Column("provided_at", sa.DateTime),
    sa.Column("acknowledged_at", sa.DateTime),
    sa.Column("entry", sa.Integer),
)
RESTRICTIONS = sa.Table(
    "restrictions",
    _METADATA,
    sa.Column("entry", sa.Integer, primary_key=True),
    sa.Column("selector_kind", sa.Text),
    sa.Column("selector_value", sa.Text),
    sa.Column("settings", sa.Text),
    sa.Column("salt", sa.LargeBinary),
)
