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

STANDING = PUBLICATIONS.c.publication.not_in(sa.select(WITHDRAWALS.c.publication))
"""Whether a publication was not withdrawn."""
