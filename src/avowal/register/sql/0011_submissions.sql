-- What people handed over. Values are sealed, and can be erased; times are UTC.

CREATE TABLE submissions (
    submission    INTEGER PRIMARY KEY,
    reference     TEXT NOT NULL UNIQUE CHECK (length(reference) = 24),   -- told to whoever handed it over
    form          TEXT NOT NULL,
    means         TEXT NOT NULL,
    visitor       TEXT CHECK (length(visitor) = 16),
    version       INTEGER NOT NULL CHECK (version >= 1),
    submitted_at  TEXT NOT NULL,
    recorded_at   TEXT NOT NULL
);
CREATE INDEX submissions_by_visitor ON submissions (visitor);
CREATE INDEX submissions_by_time ON submissions (submitted_at);

CREATE TABLE answers (
    answer        INTEGER PRIMARY KEY,
    submission    INTEGER NOT NULL REFERENCES submissions ON DELETE CASCADE,
    field         TEXT NOT NULL,
    category      TEXT NOT NULL,
    sealed        BLOB NOT NULL,              -- the value; of a file its name, size, type and key
    file          TEXT                        -- of a file, its name in the folder of files
);
CREATE INDEX answers_by_submission ON answers (submission);
CREATE INDEX answers_by_file ON answers (file);

ALTER TABLE erasures ADD COLUMN submissions INTEGER NOT NULL DEFAULT 0 CHECK (submissions >= 0);
