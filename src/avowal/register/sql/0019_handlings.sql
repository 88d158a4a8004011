-- What holds for submissions beside their form and their version, and when that was set. Lists are JSON. Times are UTC.

ALTER TABLE submissions ADD COLUMN source TEXT NOT NULL DEFAULT '';            -- where it came from, where not from the person
ALTER TABLE submissions ADD COLUMN keep_until TEXT;                            -- forgotten then, where not before
ALTER TABLE submissions ADD COLUMN objects_to TEXT NOT NULL DEFAULT '[]';      -- purposes
ALTER TABLE submissions ADD COLUMN automated BOOLEAN NOT NULL DEFAULT TRUE;    -- whether programs may decide by it
ALTER TABLE submissions ADD COLUMN readers TEXT NOT NULL DEFAULT '[]';         -- who alone reads it; none is whoever may
ALTER TABLE submissions ADD COLUMN recipients TEXT NOT NULL DEFAULT '[]';      -- who alone may be given it, the same
CREATE INDEX submissions_by_form ON submissions (form);

UPDATE submissions SET objects_to = (
    SELECT json_group_array(purpose) FROM (
        SELECT purpose FROM (
            SELECT said.value AS purpose, max(objections.objection), objections.given AS given
            FROM objecting JOIN objections USING (objection), json_each(objections.purposes) AS said
            WHERE objecting.submission = submissions.reference GROUP BY said.value
        ) WHERE given ORDER BY purpose
    )
);

ALTER TABLE readers ADD COLUMN automated BOOLEAN NOT NULL DEFAULT FALSE;       -- whether it is a program that decides

CREATE TABLE handlings (
    handling       INTEGER PRIMARY KEY,
    settings       TEXT NOT NULL,             -- the names of what was set: JSON
    records        INTEGER NOT NULL CHECK (records > 0),
    means          TEXT NOT NULL,
    person         TEXT NOT NULL CHECK (length(person) = 64),
    entry          INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at    TEXT NOT NULL
);

CREATE TABLE handled (
    handling       INTEGER PRIMARY KEY REFERENCES handlings,
    which          TEXT NOT NULL CHECK (which IN ('submission', 'visitor', 'form')),
    value          TEXT NOT NULL,
    told           TEXT NOT NULL,             -- what was set: JSON
    salt           BLOB NOT NULL
);
CREATE INDEX handled_by_value ON handled (which, value);

CREATE TRIGGER handlings_stay BEFORE UPDATE ON handlings BEGIN SELECT RAISE(ABORT, 'what was set stays'); END;
CREATE TRIGGER handlings_remain BEFORE DELETE ON handlings BEGIN SELECT RAISE(ABORT, 'what was set stays'); END;
