-- What visitors authorised to be disclosed, and took back. Who it was, and to whom, can be erased. Times are UTC.

CREATE TABLE authorisations (
    authorisation INTEGER PRIMARY KEY,
    given         BOOLEAN NOT NULL,
    categories    TEXT NOT NULL,              -- JSON
    means         TEXT NOT NULL,
    person        TEXT NOT NULL CHECK (length(person) = 64),
    entry         INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at   TEXT NOT NULL
);

CREATE TABLE authorising (
    authorisation INTEGER PRIMARY KEY REFERENCES authorisations,
    visitor       TEXT NOT NULL CHECK (length(visitor) = 16),
    recipient     TEXT NOT NULL,
    reference     TEXT NOT NULL,
    salt          BLOB NOT NULL
);
CREATE INDEX authorising_by_visitor ON authorising (visitor);

CREATE TRIGGER authorisations_stay BEFORE UPDATE ON authorisations BEGIN SELECT RAISE(ABORT, 'what was authorised stays'); END;
CREATE TRIGGER authorisations_remain BEFORE DELETE ON authorisations BEGIN SELECT RAISE(ABORT, 'what was authorised stays'); END;

ALTER TABLE erasures ADD COLUMN authorisations INTEGER NOT NULL DEFAULT 0 CHECK (authorisations >= 0);
