-- What was asked to be released, approved, refused and sealed. Times are UTC.

CREATE TABLE asked (
    asked          INTEGER PRIMARY KEY,
    reference      TEXT NOT NULL UNIQUE,
    ground         TEXT NOT NULL,
    recipient_kind TEXT NOT NULL,
    categories     TEXT NOT NULL,             -- JSON
    evidence       TEXT NOT NULL,             -- JSON: the kinds of it
    approvals      INTEGER NOT NULL CHECK (approvals >= 0),  -- how many are needed
    version        INTEGER NOT NULL CHECK (version >= 1),
    person         TEXT NOT NULL CHECK (length(person) = 64),
    asked_at       TEXT NOT NULL,
    entry          INTEGER NOT NULL UNIQUE REFERENCES entries
);

-- Of whom, for whom, by whom, and the evidence itself: what can be erased.
CREATE TABLE asking (
    asked          INTEGER PRIMARY KEY REFERENCES asked,
    visitor        TEXT NOT NULL CHECK (length(visitor) IN (0, 16)),
    told           TEXT NOT NULL,             -- JSON
    salt           BLOB NOT NULL
);
CREATE INDEX asking_by_visitor ON asking (visitor);

CREATE TABLE approvals (
    approval       INTEGER PRIMARY KEY,
    reference      TEXT NOT NULL REFERENCES asked (reference),
    name           TEXT NOT NULL,
    salt           BLOB NOT NULL,
    person         TEXT NOT NULL CHECK (length(person) = 64),
    approved_at    TEXT NOT NULL,
    entry          INTEGER NOT NULL UNIQUE REFERENCES entries,
    UNIQUE (reference, name)
);

CREATE TABLE refusals (
    refusal        INTEGER PRIMARY KEY,
    ground         TEXT NOT NULL,
    recipient_kind TEXT NOT NULL,
    why            TEXT NOT NULL,
    name           TEXT NOT NULL,
    salt           BLOB NOT NULL,
    person         TEXT NOT NULL CHECK (length(person) = 64),
    refused_at     TEXT NOT NULL,
    entry          INTEGER NOT NULL UNIQUE REFERENCES entries
);

ALTER TABLE releases ADD COLUMN sealed_until TEXT;

-- A release may be of several visitors: each has a commitment, which stays, and is told of until erased.
ALTER TABLE released RENAME TO released_before;
CREATE TABLE released (
    release        INTEGER NOT NULL REFERENCES releases,
    place          INTEGER NOT NULL CHECK (place >= 0),
    person         TEXT NOT NULL CHECK (length(person) = 64),
    visitor        TEXT CHECK (length(visitor) = 16),
    recipient      TEXT,
    salt           BLOB,
    PRIMARY KEY (release, place)
);
INSERT INTO released
    SELECT releases.release, 0, releases.person, before.visitor, before.recipient, before.salt
    FROM releases LEFT JOIN released_before AS before ON before.release = releases.release;
DROP TABLE released_before;
CREATE INDEX released_by_visitor ON released (visitor);

ALTER TABLE readers ADD COLUMN discloses BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TRIGGER asked_stays BEFORE UPDATE ON asked BEGIN SELECT RAISE(ABORT, 'what was asked stays'); END;
CREATE TRIGGER asked_remains BEFORE DELETE ON asked BEGIN SELECT RAISE(ABORT, 'what was asked stays'); END;
CREATE TRIGGER asking_stays BEFORE UPDATE ON asking BEGIN SELECT RAISE(ABORT, 'what was asked stays'); END;
CREATE TRIGGER approvals_stay BEFORE UPDATE ON approvals BEGIN SELECT RAISE(ABORT, 'what was approved stays'); END;
CREATE TRIGGER approvals_remain BEFORE DELETE ON approvals BEGIN SELECT RAISE(ABORT, 'what was approved stays'); END;
CREATE TRIGGER refusals_stay BEFORE UPDATE ON refusals BEGIN SELECT RAISE(ABORT, 'what was refused stays'); END;
CREATE TRIGGER refusals_remain BEFORE DELETE ON refusals BEGIN SELECT RAISE(ABORT, 'what was refused stays'); END;
CREATE TRIGGER seals_stay BEFORE UPDATE OF sealed_until ON releases BEGIN SELECT RAISE(ABORT, 'what was released stays'); END;
CREATE TRIGGER released_stays BEFORE UPDATE ON released WHEN NEW.visitor IS NOT NULL OR NEW.person IS NOT OLD.person
    BEGIN SELECT RAISE(ABORT, 'what was released stays'); END;
CREATE TRIGGER released_remains BEFORE DELETE ON released BEGIN SELECT RAISE(ABORT, 'what was released stays'); END;
