-- What visitors consented to for their past, and what they took back: each is a row, and a consent stands while the last
-- row of its visitor and version says that it was given. Times are UTC.

CREATE TABLE consents (
    consent       INTEGER PRIMARY KEY,
    publication   INTEGER NOT NULL REFERENCES publications,
    given         INTEGER NOT NULL CHECK (given IN (0, 1)),   -- 0 where it was taken back
    language      TEXT NOT NULL,                              -- of the document that was shown
    document      TEXT NOT NULL CHECK (length(document) = 64),
    means         TEXT NOT NULL CHECK (means IN ('e-mail', 'form', 'in-person', 'letter', 'page', 'telephone')),
    person        TEXT NOT NULL CHECK (length(person) = 64),  -- a salted commitment
    entry         INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at   TEXT NOT NULL
);

-- Who it was. Deleting a row unlinks the consent, and its entry in the ledger, from the person for good.
CREATE TABLE persons (
    consent       INTEGER PRIMARY KEY REFERENCES consents,
    visitor       TEXT NOT NULL CHECK (length(visitor) = 16),
    reference     TEXT NOT NULL,
    salt          BLOB NOT NULL CHECK (length(salt) = 32)
);

CREATE INDEX persons_by_visitor ON persons (visitor);

CREATE TRIGGER consents_stay BEFORE UPDATE ON consents BEGIN SELECT RAISE(ABORT, 'a consent stays as it was given'); END;
CREATE TRIGGER consents_remain BEFORE DELETE ON consents BEGIN SELECT RAISE(ABORT, 'a consent stays as it was given'); END;
CREATE TRIGGER persons_stay BEFORE UPDATE ON persons BEGIN SELECT RAISE(ABORT, 'a consent stays as it was given'); END;
