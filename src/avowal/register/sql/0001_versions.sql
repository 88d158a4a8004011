-- What is promised, and since when. Nothing here is ever changed or removed: what happens later is another row.
-- Times are UTC.

CREATE TABLE publications (
    publication   INTEGER PRIMARY KEY,
    number        INTEGER NOT NULL CHECK (number >= 1),
    identity      TEXT NOT NULL CHECK (length(identity) = 64),
    canonical     TEXT NOT NULL,
    terms         TEXT NOT NULL,              -- the file as it was published
    effective_at  TEXT NOT NULL,
    published_at  TEXT NOT NULL
);

-- A version that was taken back before it took effect: its number is free again.
CREATE TABLE withdrawals (
    publication   INTEGER PRIMARY KEY REFERENCES publications,
    withdrawn_at  TEXT NOT NULL
);

-- The last document of a language is the one that is shown.
CREATE TABLE documents (
    document      INTEGER PRIMARY KEY,
    publication   INTEGER NOT NULL REFERENCES publications,
    language      TEXT NOT NULL,
    text          TEXT NOT NULL,
    sha256        TEXT NOT NULL CHECK (length(sha256) = 64),
    recorded_at   TEXT NOT NULL
);

CREATE TRIGGER publications_stay BEFORE UPDATE ON publications BEGIN SELECT RAISE(ABORT, 'what was published stays'); END;
CREATE TRIGGER publications_remain BEFORE DELETE ON publications BEGIN SELECT RAISE(ABORT, 'what was published stays'); END;
CREATE TRIGGER withdrawals_stay BEFORE UPDATE ON withdrawals BEGIN SELECT RAISE(ABORT, 'what was published stays'); END;
CREATE TRIGGER withdrawals_remain BEFORE DELETE ON withdrawals BEGIN SELECT RAISE(ABORT, 'what was published stays'); END;
CREATE TRIGGER documents_stay BEFORE UPDATE ON documents BEGIN SELECT RAISE(ABORT, 'what was published stays'); END;
CREATE TRIGGER documents_remain BEFORE DELETE ON documents BEGIN SELECT RAISE(ABORT, 'what was published stays'); END;
