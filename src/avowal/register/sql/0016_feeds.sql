-- What was given to processors, page by page, and with which keys they come for it. Times are UTC.

CREATE TABLE feed_keys (
    key             INTEGER PRIMARY KEY,
    processor       TEXT NOT NULL,
    hash            TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
    issued_at       TEXT NOT NULL,
    ends_at         TEXT                      -- null for the one that was issued last
);

CREATE TABLE feed_pages (
    page            INTEGER PRIMARY KEY,
    processor       TEXT NOT NULL,
    reference       TEXT NOT NULL UNIQUE,
    contract        TEXT NOT NULL CHECK (length(contract) = 64),
    version         INTEGER NOT NULL CHECK (version >= 1),
    state           TEXT NOT NULL,            -- JSON: how far the processor is with it
    records         TEXT NOT NULL,            -- JSON: how many of each relation
    gone            INTEGER NOT NULL CHECK (gone >= 0),
    given_at        TEXT NOT NULL,
    acknowledged_at TEXT,
    entry           INTEGER NOT NULL UNIQUE REFERENCES entries
);
CREATE INDEX feed_pages_by_processor ON feed_pages (processor, page);

CREATE TRIGGER feed_pages_stay BEFORE UPDATE OF processor, reference, contract, version, state, records, gone, given_at, entry
    ON feed_pages BEGIN SELECT RAISE(ABORT, 'what was given stays'); END;
CREATE TRIGGER feed_pages_remain BEFORE DELETE ON feed_pages BEGIN SELECT RAISE(ABORT, 'what was given stays'); END;
