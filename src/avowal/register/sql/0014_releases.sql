-- What was released, and recalled. Of whom it was, and to whom it went, can be erased. Times are UTC.

CREATE TABLE releases (
    release        INTEGER PRIMARY KEY,
    reference      TEXT NOT NULL UNIQUE,
    ground         TEXT NOT NULL,
    recipient_kind TEXT NOT NULL,
    categories     TEXT NOT NULL,             -- JSON
    records        INTEGER NOT NULL CHECK (records >= 0),
    version        INTEGER NOT NULL CHECK (version >= 1),
    manifest       TEXT NOT NULL CHECK (length(manifest) = 64),
    person         TEXT NOT NULL CHECK (length(person) = 64),
    released_at    TEXT NOT NULL,
    expires_at     TEXT NOT NULL,
    recalled_at    TEXT,
    entry          INTEGER NOT NULL UNIQUE REFERENCES entries
);

CREATE TABLE released (
    release        INTEGER PRIMARY KEY REFERENCES releases,
    visitor        TEXT NOT NULL CHECK (length(visitor) = 16),
    recipient      TEXT NOT NULL,
    salt           BLOB NOT NULL
);
CREATE INDEX released_by_visitor ON released (visitor);

CREATE TRIGGER releases_stay BEFORE UPDATE OF reference, ground, recipient_kind, categories, records, version, manifest, person,
    released_at, expires_at, entry ON releases BEGIN SELECT RAISE(ABORT, 'what was released stays'); END;
CREATE TRIGGER recalls_stay BEFORE UPDATE ON releases WHEN OLD.recalled_at IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'what was recalled stays'); END;
CREATE TRIGGER releases_remain BEFORE DELETE ON releases BEGIN SELECT RAISE(ABORT, 'what was released stays'); END;
