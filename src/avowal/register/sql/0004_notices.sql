-- The notice of each publication, in each of its languages, as it was worded then; and where it was shown. Times are UTC.

CREATE TABLE notices (
    publication   INTEGER NOT NULL REFERENCES publications,
    language      TEXT NOT NULL,
    told          TEXT NOT NULL,              -- canonical JSON
    PRIMARY KEY (publication, language)
);

CREATE TABLE showings (
    showing       INTEGER PRIMARY KEY,
    publication   INTEGER NOT NULL REFERENCES publications,
    attested      INTEGER NOT NULL CHECK (attested IN (0, 1)),  -- by the operator; else it was shown by Avowal itself
    place         TEXT NOT NULL,
    entry         INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at   TEXT NOT NULL
);

CREATE TRIGGER notices_stay BEFORE UPDATE ON notices BEGIN SELECT RAISE(ABORT, 'what was published stays'); END;
CREATE TRIGGER notices_remain BEFORE DELETE ON notices BEGIN SELECT RAISE(ABORT, 'what was published stays'); END;
CREATE TRIGGER showings_stay BEFORE UPDATE ON showings BEGIN SELECT RAISE(ABORT, 'what was shown stays'); END;
CREATE TRIGGER showings_remain BEFORE DELETE ON showings BEGIN SELECT RAISE(ABORT, 'what was shown stays'); END;
