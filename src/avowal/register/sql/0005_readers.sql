-- Who reads what is stored, and for which purposes; and what was read. Times are UTC.

-- The last row of a name holds; one without purposes takes the reader away.
CREATE TABLE readers (
    reader        INTEGER PRIMARY KEY,
    name          TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    purposes      TEXT NOT NULL,              -- a JSON list
    recorded_at   TEXT NOT NULL
);

-- Readings that told of single visitors; each has an entry in the ledger.
CREATE TABLE readings (
    reading       INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    salt          BLOB NOT NULL CHECK (length(salt) = 32),
    purpose       TEXT NOT NULL,
    version       INTEGER NOT NULL,           -- the last that had taken effect
    rows          INTEGER NOT NULL CHECK (rows >= 0),
    question      TEXT NOT NULL CHECK (length(question) = 64),
    entry         INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at   TEXT NOT NULL
);

-- How many readings told of many visitors together, by day.
CREATE TABLE reading_counts (
    day           TEXT NOT NULL,
    name          TEXT NOT NULL,
    purpose       TEXT NOT NULL,
    readings      INTEGER NOT NULL CHECK (readings > 0),
    PRIMARY KEY (day, name, purpose)
);

CREATE TRIGGER readers_stay BEFORE UPDATE ON readers BEGIN SELECT RAISE(ABORT, 'what was recorded stays'); END;
CREATE TRIGGER readers_remain BEFORE DELETE ON readers BEGIN SELECT RAISE(ABORT, 'what was recorded stays'); END;
CREATE TRIGGER readings_stay BEFORE UPDATE ON readings BEGIN SELECT RAISE(ABORT, 'what was read stays'); END;
CREATE TRIGGER readings_remain BEFORE DELETE ON readings BEGIN SELECT RAISE(ABORT, 'what was read stays'); END;
