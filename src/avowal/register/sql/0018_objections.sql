-- What people said of what they had handed over: to which purposes they object, and what was to be corrected. Of which
-- submission it was goes with that. Times are UTC.

CREATE TABLE objections (
    objection      INTEGER PRIMARY KEY,
    given          BOOLEAN NOT NULL,          -- false where it was taken back
    purposes       TEXT NOT NULL,             -- JSON
    means          TEXT NOT NULL,
    person         TEXT NOT NULL CHECK (length(person) = 64),
    entry          INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at    TEXT NOT NULL
);

CREATE TABLE objecting (
    objection      INTEGER PRIMARY KEY REFERENCES objections,
    submission     TEXT NOT NULL CHECK (length(submission) = 24),
    salt           BLOB NOT NULL
);
CREATE INDEX objecting_by_submission ON objecting (submission);

CREATE TABLE corrections (
    correction     INTEGER PRIMARY KEY,
    categories     TEXT NOT NULL,             -- JSON
    means          TEXT NOT NULL,
    person         TEXT NOT NULL CHECK (length(person) = 64),
    entry          INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at    TEXT NOT NULL
);

CREATE TABLE correcting (
    correction     INTEGER PRIMARY KEY REFERENCES corrections,
    submission     TEXT NOT NULL CHECK (length(submission) = 24),
    salt           BLOB NOT NULL
);
CREATE INDEX correcting_by_submission ON correcting (submission);

CREATE TRIGGER objections_stay BEFORE UPDATE ON objections BEGIN SELECT RAISE(ABORT, 'what was objected to stays'); END;
CREATE TRIGGER objections_remain BEFORE DELETE ON objections BEGIN SELECT RAISE(ABORT, 'what was objected to stays'); END;
CREATE TRIGGER corrections_stay BEFORE UPDATE ON corrections BEGIN SELECT RAISE(ABORT, 'what was corrected stays'); END;
CREATE TRIGGER corrections_remain BEFORE DELETE ON corrections BEGIN SELECT RAISE(ABORT, 'what was corrected stays'); END;
