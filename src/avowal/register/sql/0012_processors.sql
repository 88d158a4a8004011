-- Third parties that work for the operator, and their contracts; one without a contract does so no more. Times are UTC.

CREATE TABLE processors (
    processor     INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    contract      TEXT NOT NULL,
    identity      TEXT NOT NULL,              -- of the version that it was compared with
    entry         INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at   TEXT NOT NULL
);

CREATE TRIGGER processors_stay BEFORE UPDATE ON processors BEGIN SELECT RAISE(ABORT, 'what was agreed stays'); END;
CREATE TRIGGER processors_remain BEFORE DELETE ON processors BEGIN SELECT RAISE(ABORT, 'what was agreed stays'); END;
