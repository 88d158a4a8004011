"""The tables of the register, whose schema stands in `sql/register/`; those of the ledger are in `ledger.py`."""

import sqlalchemy as sa

_METADATA = sa.MetaData()
PUBLICATIONS = sa.Table(
    "publications",
    _METADATA,
    sa.Column("publication", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer),
    sa.Column("identity", sa.Text),
    sa.Column("canonical", sa.Text),
    sa.Column("terms", sa.Text),
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
    sa.Column("document", sa.Text),
    sa.Column("means", sa.Text),
    sa.Column("person", sa.Text),
    sa.Column("entry", sa.Integer),
    sa.Column("recorded_at", sa.DateTime),
)
PERSONS = sa.Table(
    "persons",
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
    sa.Column("told", sa.Text),
)
SHOWINGS = sa.Table(
    "showings",
    _METADATA,
    sa.Column("showing", sa.Integer, primary_key=True),
    sa.Column("publication", sa.Integer),
    sa.Column("attested", sa.Boolean),
    sa.Column("place", sa.Text),
    sa.Column("entry", sa.Integer),
    sa.Column("recorded_at", sa.DateTime),
)
READERS = sa.Table(
    "readers",
    _METADATA,
    sa.Column("reader", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("purposes", sa.Text),
    sa.Column("discloses", sa.Boolean),
    sa.Column("automated", sa.Boolean),
    sa.Column("recorded_at", sa.DateTime),
)
READING_COUNTS = sa.Table(
    "reading_counts",
    _METADATA,
    sa.Column("day", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("purpose", sa.Text, primary_key=True),
    sa.Column("readings", sa.Integer),
)
RETENTIONS = sa.Table(
    "retentions",
    _METADATA,
    sa.Column("run", sa.Integer, primary_key=True),
    sa.Column("removed", sa.Text),
    sa.Column("entry", sa.Integer),
    sa.Column("removed_at", sa.DateTime),
)
ERASING = sa.Table("erasing", _METADATA, sa.Column("visitor", sa.Text, primary_key=True))

STANDING = PUBLICATIONS.c.publication.not_in(sa.select(WITHDRAWALS.c.publication))
"""Whether a publication was not withdrawn."""
AUTHORISATIONS = sa.Table(
    "authorisations",
    _METADATA,
    sa.Column("authorisation", sa.Integer, primary_key=True),
    sa.Column("given", sa.Boolean),
    sa.Column("categories", sa.Text),
    sa.Column("means", sa.Text),
    sa.Column("person", sa.Text),
    sa.Column("entry", sa.Integer),
    sa.Column("recorded_at", sa.DateTime),
)
AUTHORISING = sa.Table(
    "authorising",
    _METADATA,
    sa.Column("authorisation", sa.Integer, primary_key=True),
    sa.Column("visitor", sa.Text),
    sa.Column("recipient", sa.Text),
    sa.Column("reference", sa.Text),
    sa.Column("salt", sa.LargeBinary),
)
ASKED = sa.Table(
    "asked",
    _METADATA,
    sa.Column("asked", sa.Integer, primary_key=True),
    sa.Column("reference", sa.Text),
    sa.Column("ground", sa.Text),
    sa.Column("recipient_kind", sa.Text),
    sa.Column("categories", sa.Text),
    sa.Column("evidence", sa.Text),
    sa.Column("approvals", sa.Integer),
    sa.Column("version", sa.Integer),
    sa.Column("person", sa.Text),
    sa.Column("asked_at", sa.DateTime),
    sa.Column("entry", sa.Integer),
)
ASKING = sa.Table(
    "asking",
    _METADATA,
    sa.Column("asked", sa.Integer, primary_key=True),
    sa.Column("visitor", sa.Text),
    sa.Column("told", sa.Text),
    sa.Column("salt", sa.LargeBinary),
)
APPROVALS = sa.Table(
    "approvals",
    _METADATA,
    sa.Column("approval", sa.Integer, primary_key=True),
    sa.Column("reference", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("person", sa.Text),
    sa.Column("approved_at", sa.DateTime),
    sa.Column("entry", sa.Integer),
)
REFUSALS = sa.Table(
    "refusals",
    _METADATA,
    sa.Column("refusal", sa.Integer, primary_key=True),
    sa.Column("ground", sa.Text),
    sa.Column("recipient_kind", sa.Text),
    sa.Column("why", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("person", sa.Text),
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
    sa.Column("manifest", sa.Text),
    sa.Column("person", sa.Text),
    sa.Column("released_at", sa.DateTime),
    sa.Column("expires_at", sa.DateTime),
    sa.Column("recalled_at", sa.DateTime),
    sa.Column("sealed_until", sa.DateTime),
    sa.Column("written_at", sa.DateTime),
    sa.Column("entry", sa.Integer),
)
RELEASED = sa.Table(
    "released",
    _METADATA,
    sa.Column("release", sa.Integer, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("person", sa.Text),
    sa.Column("visitor", sa.Text),
    sa.Column("recipient", sa.Text),
    sa.Column("salt", sa.LargeBinary),
)
PROCESSORS = sa.Table(
    "processors",
    _METADATA,
    sa.Column("processor", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("contract", sa.Text),
    sa.Column("identity", sa.Text),
    sa.Column("entry", sa.Integer),
    sa.Column("recorded_at", sa.DateTime),
)
SUBMISSIONS = sa.Table(
    "submissions",
    _METADATA,
    sa.Column("submission", sa.Integer, primary_key=True),
    sa.Column("reference", sa.Text),
    sa.Column("form", sa.Text),
    sa.Column("means", sa.Text),
    sa.Column("visitor", sa.Text),
    sa.Column("version", sa.Integer),
    sa.Column("submitted_at", sa.DateTime),
    sa.Column("recorded_at", sa.DateTime),
    sa.Column("keep_until", sa.DateTime),
)
ANSWERS = sa.Table(
    "answers",
    _METADATA,
    sa.Column("answer", sa.Integer, primary_key=True),
    sa.Column("submission", sa.Integer),
    sa.Column("field", sa.Text),
    sa.Column("category", sa.Text),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("file", sa.Text),
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
    sa.Column("contract", sa.Text),
    sa.Column("version", sa.Integer),
    sa.Column("state", sa.Text),
    sa.Column("records", sa.Text),
    sa.Column("gone", sa.Integer),
    sa.Column("given_at", sa.DateTime),
    sa.Column("acknowledged_at", sa.DateTime),
    sa.Column("entry", sa.Integer),
)
HANDLED = sa.Table(
    "handled",
    _METADATA,
    sa.Column("entry", sa.Integer, primary_key=True),
    sa.Column("which", sa.Text),
    sa.Column("value", sa.Text),
    sa.Column("told", sa.Text),
    sa.Column("salt", sa.LargeBinary),
)
