-- What was erased for visitors. `erasing` has whom an erasure is of until it is done; nothing leads to them after.

CREATE TABLE erasing (
    visitor       TEXT PRIMARY KEY CHECK (length(visitor) = 16)
);

CREATE TABLE erasures (
    erasure       INTEGER PRIMARY KEY,
    person        TEXT NOT NULL CHECK (length(person) = 64),  -- a commitment, whose salt only the visitor has
    requests      INTEGER NOT NULL CHECK (requests >= 0),
    views         INTEGER NOT NULL CHECK (views >= 0),
    visits        INTEGER NOT NULL CHECK (visits >= 0),
    consents      INTEGER NOT NULL CHECK (consents >= 0),
    entry         INTEGER NOT NULL UNIQUE REFERENCES entries,
    erased_at     TEXT NOT NULL
);

CREATE TRIGGER erasures_stay BEFORE UPDATE ON erasures BEGIN SELECT RAISE(ABORT, 'what was erased stays'); END;
CREATE TRIGGER erasures_remain BEFORE DELETE ON erasures BEGIN SELECT RAISE(ABORT, 'what was erased stays'); END;
