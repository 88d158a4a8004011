-- What is recorded thousands of times, without the indexes that each write paid for and nobody asked: an entry has one
-- row that names it because both are written at once, and `avowal verify` holds the one against the other.

CREATE TABLE lean_readings (
    reading       INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    salt          BLOB NOT NULL CHECK (length(salt) = 32),
    purpose       TEXT NOT NULL,
    version       INTEGER NOT NULL,           -- the last that had taken effect
    rows          INTEGER NOT NULL CHECK (rows >= 0),
    question      TEXT NOT NULL CHECK (length(question) = 64),
    entry         INTEGER NOT NULL REFERENCES entries,
    recorded_at   TEXT NOT NULL
);
INSERT INTO lean_readings SELECT * FROM readings;
DROP TABLE readings;
ALTER TABLE lean_readings RENAME TO readings;
CREATE TRIGGER readings_stay BEFORE UPDATE ON readings BEGIN SELECT RAISE(ABORT, 'what was read stays'); END;
CREATE TRIGGER readings_remain BEFORE DELETE ON readings BEGIN SELECT RAISE(ABORT, 'what was read stays'); END;

CREATE TABLE lean_erasures (
    erasure        INTEGER PRIMARY KEY,
    person         TEXT NOT NULL CHECK (length(person) = 64),  -- a commitment, whose salt only the visitor has
    requests       INTEGER NOT NULL CHECK (requests >= 0),
    views          INTEGER NOT NULL CHECK (views >= 0),
    visits         INTEGER NOT NULL CHECK (visits >= 0),
    consents       INTEGER NOT NULL CHECK (consents >= 0),
    entry          INTEGER NOT NULL REFERENCES entries,
    erased_at      TEXT NOT NULL,
    looks          INTEGER NOT NULL DEFAULT 0 CHECK (looks >= 0),
    interactions   INTEGER NOT NULL DEFAULT 0 CHECK (interactions >= 0),
    submissions    INTEGER NOT NULL DEFAULT 0 CHECK (submissions >= 0),
    authorisations INTEGER NOT NULL DEFAULT 0 CHECK (authorisations >= 0)
);
INSERT INTO lean_erasures SELECT * FROM erasures;
DROP TABLE erasures;
ALTER TABLE lean_erasures RENAME TO erasures;
CREATE TRIGGER erasures_stay BEFORE UPDATE ON erasures BEGIN SELECT RAISE(ABORT, 'what was erased stays'); END;
CREATE TRIGGER erasures_remain BEFORE DELETE ON erasures BEGIN SELECT RAISE(ABORT, 'what was erased stays'); END;

-- Of which submission a correction was, and what a setting was for, is looked for by that, and by nothing else.

CREATE TABLE lean_corrections (
    correction     INTEGER PRIMARY KEY,
    categories     TEXT NOT NULL,             -- JSON
    means          TEXT NOT NULL,
    person         TEXT NOT NULL CHECK (length(person) = 64),
    entry          INTEGER NOT NULL REFERENCES entries,
    recorded_at    TEXT NOT NULL
);
CREATE TABLE lean_correcting (
    submission     TEXT NOT NULL CHECK (length(submission) = 24),
    correction     INTEGER NOT NULL REFERENCES lean_corrections,
    salt           BLOB NOT NULL,
    PRIMARY KEY (submission, correction)
) WITHOUT ROWID;
INSERT INTO lean_corrections SELECT * FROM corrections;
INSERT INTO lean_correcting SELECT submission, correction, salt FROM correcting;
DROP TABLE correcting;
DROP TABLE corrections;
ALTER TABLE lean_corrections RENAME TO corrections;
ALTER TABLE lean_correcting RENAME TO correcting;
CREATE TRIGGER corrections_stay BEFORE UPDATE ON corrections BEGIN SELECT RAISE(ABORT, 'what was corrected stays'); END;
CREATE TRIGGER corrections_remain BEFORE DELETE ON corrections BEGIN SELECT RAISE(ABORT, 'what was corrected stays'); END;

CREATE TABLE lean_handlings (
    handling       INTEGER PRIMARY KEY,
    settings       TEXT NOT NULL,             -- the names of what was set: JSON
    records        INTEGER NOT NULL CHECK (records > 0),
    means          TEXT NOT NULL,
    person         TEXT NOT NULL CHECK (length(person) = 64),
    entry          INTEGER NOT NULL REFERENCES entries,
    recorded_at    TEXT NOT NULL
);
CREATE TABLE lean_handled (
    which          TEXT NOT NULL CHECK (which IN ('submission', 'visitor', 'form')),
    value          TEXT NOT NULL,
    handling       INTEGER NOT NULL REFERENCES lean_handlings,
    told           TEXT NOT NULL,             -- what was set: JSON
    salt           BLOB NOT NULL,
    PRIMARY KEY (which, value, handling)
) WITHOUT ROWID;
INSERT INTO lean_handlings SELECT * FROM handlings;
INSERT INTO lean_handled SELECT which, value, handling, told, salt FROM handled;
DROP TABLE handled;
DROP TABLE handlings;
ALTER TABLE lean_handlings RENAME TO handlings;
ALTER TABLE lean_handled RENAME TO handled;
CREATE TRIGGER handlings_stay BEFORE UPDATE ON handlings BEGIN SELECT RAISE(ABORT, 'what was set stays'); END;
CREATE TRIGGER handlings_remain BEFORE DELETE ON handlings BEGIN SELECT RAISE(ABORT, 'what was set stays'); END;

DROP INDEX answers_by_file;
CREATE INDEX answers_by_file ON answers (file) WHERE file IS NOT NULL;
