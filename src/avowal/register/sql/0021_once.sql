-- What an entry of the ledger says is said once, there: each table that says it again takes a page of each transaction.
-- Beside the entry of a reading stands who read, which opens the commitment there. What opens one that leads to a person
-- stands apart, and goes with what was held of them. What names no entry opens none, and is left behind.

ALTER TABLE entries ADD COLUMN reader TEXT;
ALTER TABLE entries ADD COLUMN salt BLOB CHECK (length(salt) = 32);

DROP TRIGGER entries_stay;
UPDATE entries SET reader = name, salt = readings.salt FROM readings WHERE readings.entry = entries.entry;
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
DROP TABLE readings;

DROP TABLE erasures;

CREATE TABLE once_objecting (
    submission     TEXT NOT NULL CHECK (length(submission) = 24),
    entry          INTEGER NOT NULL REFERENCES entries,
    salt           BLOB NOT NULL,
    PRIMARY KEY (submission, entry)
) WITHOUT ROWID;
INSERT OR IGNORE INTO once_objecting
SELECT submission, entry, objecting.salt FROM objecting JOIN objections USING (objection) JOIN entries USING (entry);
DROP TABLE objecting;
DROP TABLE objections;
ALTER TABLE once_objecting RENAME TO objecting;

CREATE TABLE once_correcting (
    entry          INTEGER PRIMARY KEY REFERENCES entries,
    submission     TEXT NOT NULL CHECK (length(submission) = 24),
    salt           BLOB NOT NULL
);
INSERT OR IGNORE INTO once_correcting
SELECT entry, submission, correcting.salt FROM correcting JOIN corrections USING (correction) JOIN entries USING (entry);
DROP TABLE correcting;
DROP TABLE corrections;
ALTER TABLE once_correcting RENAME TO correcting;

CREATE TABLE once_handled (
    which          TEXT NOT NULL CHECK (which IN ('submission', 'visitor', 'form')),
    value          TEXT NOT NULL,
    entry          INTEGER NOT NULL REFERENCES entries,
    told           TEXT NOT NULL,             -- what was set: JSON
    salt           BLOB NOT NULL,
    PRIMARY KEY (which, value, entry)
) WITHOUT ROWID;
INSERT OR IGNORE INTO once_handled
SELECT which, value, entry, told, handled.salt FROM handled JOIN handlings USING (handling) JOIN entries USING (entry);
DROP TABLE handled;
DROP TABLE handlings;
ALTER TABLE once_handled RENAME TO handled;
