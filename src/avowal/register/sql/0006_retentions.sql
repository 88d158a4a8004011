-- What retention took away, and when. Times are UTC.

CREATE TABLE retentions (
    run           INTEGER PRIMARY KEY,
    removed       TEXT NOT NULL,              -- JSON
    entry         INTEGER NOT NULL UNIQUE REFERENCES entries,
    removed_at    TEXT NOT NULL
);

CREATE TRIGGER retentions_stay BEFORE UPDATE ON retentions BEGIN SELECT RAISE(ABORT, 'what was removed stays'); END;
CREATE TRIGGER retentions_remain BEFORE DELETE ON retentions BEGIN SELECT RAISE(ABORT, 'what was removed stays'); END;
