-- The register: versions of the terms, consents, readers, submissions and releases, and the ledger that records them.
-- Times are UTC, as `YYYY-MM-DD HH:MM:SS.ffffff`. Lists and objects are JSON. A `commitment` is a salted SHA-256 in
-- hexadecimal; its salt and the values it commits to are in a separate table, so that they can be erased.

-- The ledger: its entries in their order, the nodes of their tree, and the signed checkpoints.
-- Leaf hashes are the nodes of level 0. `access_reader` and `access_salt` open the commitment of a `data-accessed` entry.

PRAGMA application_id = 1096175448; -- `AVOX`

CREATE TABLE entries (
    entry         INTEGER PRIMARY KEY CHECK (entry >= 0),
    body          BLOB NOT NULL,
    access_reader TEXT,
    access_salt   BLOB CHECK (length(access_salt) = 32)
);

CREATE TABLE nodes (
    level    INTEGER NOT NULL CHECK (level >= 0),
    position INTEGER NOT NULL CHECK (position >= 0),
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, position)
) WITHOUT ROWID;

CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY CHECK (size >= 1),
    note TEXT NOT NULL
);

-- Binds the rows of all other tables except `nodes`: the encrypted sums of their hashes (L9 in `docs/spec/ledger.md`).
CREATE TABLE seals (
    seal   INTEGER PRIMARY KEY CHECK (seal = 1),
    sealed BLOB NOT NULL
);

-- The store of the folder, and its newest version that is known to be durable: it may be newer, never older.
CREATE TABLE stores (
    store      INTEGER PRIMARY KEY CHECK (store = 1),
    store_id   TEXT NOT NULL CHECK (length(store_id) = 32),
    generation INTEGER NOT NULL CHECK (generation >= 1)
);

-- Journals that are not loaded into the store yet.
CREATE TABLE journals (
    name TEXT PRIMARY KEY CHECK (length(name) = 32)
);

-- Keys in `keys/` that were used. A fingerprint is a code that needs the ledger's key.
CREATE TABLE known_keys (
    name        TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32)
);

-- Versions of the terms. A withdrawn version leaves its number free for the next one.

CREATE TABLE publications (
    publication     INTEGER PRIMARY KEY,
    number          INTEGER NOT NULL CHECK (number >= 1),
    identity        TEXT NOT NULL CHECK (length(identity) = 64),
    canonical_terms TEXT NOT NULL,
    terms_text      TEXT NOT NULL, -- the file as it was published
    effective_at    TEXT NOT NULL,
    published_at    TEXT NOT NULL
);

CREATE TABLE withdrawals (
    publication  INTEGER PRIMARY KEY REFERENCES publications,
    withdrawn_at TEXT NOT NULL
);

-- The last document of a language is the one that is shown. That of the language `terms` is the corrected text of the
-- terms, of the same meaning.
CREATE TABLE documents (
    document    INTEGER PRIMARY KEY,
    publication INTEGER NOT NULL REFERENCES publications,
    language    TEXT NOT NULL,
    text        TEXT NOT NULL,
    sha256      TEXT NOT NULL CHECK (length(sha256) = 64),
    recorded_at TEXT NOT NULL
);

CREATE TABLE notices (
    publication    INTEGER NOT NULL REFERENCES publications,
    language       TEXT NOT NULL,
    canonical_json TEXT NOT NULL,
    PRIMARY KEY (publication, language)
);

CREATE TABLE notice_displays (
    notice_display       INTEGER PRIMARY KEY,
    publication          INTEGER NOT NULL REFERENCES publications,
    attested_by_operator BOOLEAN NOT NULL CHECK (attested_by_operator IN (0, 1)), -- 0 if Avowal itself displayed it
    location             TEXT NOT NULL,
    entry                INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at          TEXT NOT NULL
);

-- Consents to a version for data collected before it, and withdrawals of consents. The last row of a visitor and a
-- version counts.

CREATE TABLE consents (
    consent       INTEGER PRIMARY KEY,
    publication   INTEGER NOT NULL REFERENCES publications,
    given         BOOLEAN NOT NULL CHECK (given IN (0, 1)), -- 0 if withdrawn
    language      TEXT NOT NULL,                            -- of the document that was shown
    document_hash TEXT NOT NULL CHECK (length(document_hash) = 64),
    channel       TEXT NOT NULL CHECK (channel IN ('e-mail', 'form', 'in-person', 'letter', 'page', 'telephone')),
    commitment    TEXT NOT NULL CHECK (length(commitment) = 64),
    entry         INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at   TEXT NOT NULL
);

-- Who consented. Deleting a row unlinks the consent, and its entry in the ledger, from the visitor for good.
CREATE TABLE consent_subjects (
    consent   INTEGER PRIMARY KEY REFERENCES consents,
    visitor   TEXT NOT NULL CHECK (length(visitor) = 16),
    statement TEXT NOT NULL, -- of the receipt, as canonical JSON
    salt      BLOB NOT NULL CHECK (length(salt) = 32)
);
CREATE INDEX consent_subjects_by_visitor ON consent_subjects (visitor);

-- Readers and their purposes. The last row of a name counts; one without purposes removes the reader.

CREATE TABLE readers (
    reader       INTEGER PRIMARY KEY,
    name         TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    purposes     TEXT NOT NULL,                                               -- JSON
    can_disclose BOOLEAN NOT NULL DEFAULT FALSE CHECK (can_disclose IN (0, 1)),
    is_automated BOOLEAN NOT NULL DEFAULT FALSE CHECK (is_automated IN (0, 1)), -- a program that decides
    recorded_at  TEXT NOT NULL
);

-- Passwords are stored as scrypt hashes, each under its own salt.
CREATE TABLE passwords (
    password    INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
    salt        BLOB NOT NULL CHECK (length(salt) = 16),
    hash        BLOB NOT NULL CHECK (length(hash) = 32),
    recorded_at TEXT NOT NULL
);

-- Reads of aggregates, counted by day. Reads of single visitors' data are `data-accessed` entries of the ledger.
CREATE TABLE access_counts (
    day      TEXT NOT NULL,
    reader   TEXT NOT NULL,
    purpose  TEXT NOT NULL,
    accesses INTEGER NOT NULL CHECK (accesses > 0),
    PRIMARY KEY (day, reader, purpose)
);

CREATE TABLE retention_runs (
    run_number      INTEGER PRIMARY KEY,
    removed_records TEXT NOT NULL, -- JSON
    entry           INTEGER NOT NULL UNIQUE REFERENCES entries,
    removed_at      TEXT NOT NULL
);

-- Visitors whose erasure was begun and is not finished.
CREATE TABLE pending_erasures (
    visitor TEXT PRIMARY KEY CHECK (length(visitor) = 16)
);

-- Submissions, and the encrypted values of their fields.

CREATE TABLE submissions (
    submission                 INTEGER PRIMARY KEY,
    reference                  TEXT NOT NULL UNIQUE CHECK (length(reference) = 24),
    form                       TEXT NOT NULL,
    channel                    TEXT NOT NULL,
    visitor                    TEXT CHECK (length(visitor) = 16),
    version                    INTEGER NOT NULL CHECK (version >= 1),
    submitted_at               TEXT NOT NULL,
    recorded_at                TEXT NOT NULL,
    source                     TEXT NOT NULL DEFAULT '',   -- where it came from, if not from the person
    keep_until                 TEXT,                       -- erased then, if not earlier
    objected_purposes          TEXT NOT NULL DEFAULT '[]', -- JSON
    allows_automated_decisions BOOLEAN NOT NULL DEFAULT TRUE CHECK (allows_automated_decisions IN (0, 1)),
    allowed_readers            TEXT NOT NULL DEFAULT '[]', -- JSON; empty allows every reader
    allowed_recipients         TEXT NOT NULL DEFAULT '[]'  -- JSON; empty allows every recipient
);
CREATE INDEX submissions_by_visitor ON submissions (visitor);
CREATE INDEX submissions_by_time ON submissions (submitted_at);
CREATE INDEX submissions_by_form ON submissions (form);

CREATE TABLE submission_fields (
    submission_field INTEGER PRIMARY KEY,
    submission       INTEGER NOT NULL REFERENCES submissions ON DELETE CASCADE,
    field            TEXT NOT NULL,
    category         TEXT NOT NULL,
    ciphertext       BLOB NOT NULL, -- of the value; of a file: its name, size, media type and key
    file_name        TEXT           -- of a file: its name in the folder of files
);
CREATE INDEX submission_fields_by_submission ON submission_fields (submission);
CREATE INDEX submission_fields_by_file_name ON submission_fields (file_name) WHERE file_name IS NOT NULL;

-- The salts that open the commitments of entries about submissions, until these are deleted.

CREATE TABLE objection_subjects (
    submission TEXT NOT NULL CHECK (length(submission) = 24),
    entry      INTEGER NOT NULL REFERENCES entries,
    salt       BLOB NOT NULL CHECK (length(salt) = 32),
    PRIMARY KEY (submission, entry)
) WITHOUT ROWID;

CREATE TABLE correction_subjects (
    entry      INTEGER PRIMARY KEY REFERENCES entries,
    submission TEXT NOT NULL CHECK (length(submission) = 24),
    salt       BLOB NOT NULL CHECK (length(salt) = 32)
);

CREATE TABLE restrictions (
    selector_kind  TEXT NOT NULL CHECK (selector_kind IN ('submission', 'visitor', 'form')),
    selector_value TEXT NOT NULL,
    entry          INTEGER NOT NULL REFERENCES entries,
    settings       TEXT NOT NULL, -- JSON
    salt           BLOB NOT NULL CHECK (length(salt) = 32),
    PRIMARY KEY (selector_kind, selector_value, entry)
) WITHOUT ROWID;

-- Processors and their contracts. The last row of a name counts; one without a contract removes the processor.

CREATE TABLE processors (
    processor        INTEGER PRIMARY KEY,
    name             TEXT NOT NULL,
    contract_text    TEXT NOT NULL,
    version_identity TEXT NOT NULL, -- of the version that the contract was compared with
    entry            INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at      TEXT NOT NULL
);

CREATE TABLE feed_keys (
    key       INTEGER PRIMARY KEY,
    processor TEXT NOT NULL,
    hash      TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
    issued_at TEXT NOT NULL,
    ends_at   TEXT -- null for the key that was issued last
);

CREATE TABLE feed_pages (
    page            INTEGER PRIMARY KEY,
    processor       TEXT NOT NULL,
    reference       TEXT NOT NULL UNIQUE,
    contract_hash   TEXT NOT NULL CHECK (length(contract_hash) = 64),
    version         INTEGER NOT NULL CHECK (version >= 1),
    position        TEXT NOT NULL, -- JSON: how far the processor is in its feed
    records         TEXT NOT NULL, -- JSON: how many records of each relation
    deletions       INTEGER NOT NULL CHECK (deletions >= 0),
    provided_at     TEXT NOT NULL,
    acknowledged_at TEXT,
    entry           INTEGER NOT NULL UNIQUE REFERENCES entries
);
CREATE INDEX feed_pages_by_processor ON feed_pages (processor, page);

-- Authorisations of disclosures by visitors, and their withdrawals.

CREATE TABLE authorisations (
    authorisation INTEGER PRIMARY KEY,
    given         BOOLEAN NOT NULL CHECK (given IN (0, 1)), -- 0 if withdrawn
    categories    TEXT NOT NULL,                            -- JSON
    channel       TEXT NOT NULL,
    commitment    TEXT NOT NULL CHECK (length(commitment) = 64),
    entry         INTEGER NOT NULL UNIQUE REFERENCES entries,
    recorded_at   TEXT NOT NULL
);

CREATE TABLE authorisation_subjects (
    authorisation INTEGER PRIMARY KEY REFERENCES authorisations,
    visitor       TEXT NOT NULL CHECK (length(visitor) = 16),
    recipient     TEXT NOT NULL,
    reference     TEXT NOT NULL,
    salt          BLOB NOT NULL CHECK (length(salt) = 32)
);
CREATE INDEX authorisation_subjects_by_visitor ON authorisation_subjects (visitor);

-- Requests for releases, their approvals, refusals, and the releases themselves. What a request or a release is stands
-- in its entry alone.

CREATE TABLE release_requests (
    release_request    INTEGER PRIMARY KEY,
    reference          TEXT NOT NULL UNIQUE,
    entry              INTEGER NOT NULL UNIQUE REFERENCES entries
);

CREATE TABLE release_request_subjects (
    release_request INTEGER PRIMARY KEY REFERENCES release_requests,
    visitor         TEXT NOT NULL CHECK (length(visitor) IN (0, 16)),
    details         TEXT NOT NULL, -- JSON: recipient, requester, evidence and the like
    salt            BLOB NOT NULL CHECK (length(salt) = 32)
);
CREATE INDEX release_request_subjects_by_visitor ON release_request_subjects (visitor);

CREATE TABLE release_approvals (
    release_approval INTEGER PRIMARY KEY,
    reference        TEXT NOT NULL REFERENCES release_requests (reference),
    approver         TEXT NOT NULL,
    salt             BLOB NOT NULL CHECK (length(salt) = 32),
    commitment       TEXT NOT NULL CHECK (length(commitment) = 64),
    approved_at      TEXT NOT NULL,
    entry            INTEGER NOT NULL UNIQUE REFERENCES entries,
    UNIQUE (reference, approver)
);

CREATE TABLE release_refusals (
    release_refusal INTEGER PRIMARY KEY,
    ground          TEXT NOT NULL,
    recipient_kind  TEXT NOT NULL,
    reason          TEXT NOT NULL,
    requester       TEXT NOT NULL,
    salt            BLOB NOT NULL CHECK (length(salt) = 32),
    commitment      TEXT NOT NULL CHECK (length(commitment) = 64),
    refused_at      TEXT NOT NULL,
    entry           INTEGER NOT NULL UNIQUE REFERENCES entries
);

CREATE TABLE releases (
    release     INTEGER PRIMARY KEY,
    reference   TEXT NOT NULL UNIQUE,
    recalled_at TEXT,
    written_at  TEXT, -- null until the package is written; until then it can be made again
    entry       INTEGER NOT NULL UNIQUE REFERENCES entries
);

-- Each visitor of a release has a commitment, which stays; who it is can be erased.
CREATE TABLE release_subjects (
    release    INTEGER NOT NULL REFERENCES releases,
    position   INTEGER NOT NULL CHECK (position >= 0),
    commitment TEXT NOT NULL CHECK (length(commitment) = 64),
    visitor    TEXT CHECK (length(visitor) = 16),
    recipient  TEXT,
    salt       BLOB CHECK (length(salt) = 32),
    PRIMARY KEY (release, position)
);
CREATE INDEX release_subjects_by_visitor ON release_subjects (visitor);

-- Nothing that was recorded can be changed or deleted.

CREATE TRIGGER entries_forbid_update BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'ledger entries cannot be changed'); END;
CREATE TRIGGER entries_forbid_delete BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'ledger entries cannot be deleted'); END;
CREATE TRIGGER nodes_forbid_update BEFORE UPDATE ON nodes
    BEGIN SELECT RAISE(ABORT, 'ledger nodes cannot be changed'); END;
CREATE TRIGGER nodes_forbid_delete BEFORE DELETE ON nodes
    BEGIN SELECT RAISE(ABORT, 'ledger nodes cannot be deleted'); END;
CREATE TRIGGER publications_forbid_update BEFORE UPDATE ON publications
    BEGIN SELECT RAISE(ABORT, 'versions cannot be changed'); END;
CREATE TRIGGER publications_forbid_delete BEFORE DELETE ON publications
    BEGIN SELECT RAISE(ABORT, 'versions cannot be deleted'); END;
CREATE TRIGGER withdrawals_forbid_update BEFORE UPDATE ON withdrawals
    BEGIN SELECT RAISE(ABORT, 'withdrawals of versions cannot be changed'); END;
CREATE TRIGGER withdrawals_forbid_delete BEFORE DELETE ON withdrawals
    BEGIN SELECT RAISE(ABORT, 'withdrawals of versions cannot be deleted'); END;
CREATE TRIGGER documents_forbid_update BEFORE UPDATE ON documents
    BEGIN SELECT RAISE(ABORT, 'documents cannot be changed'); END;
CREATE TRIGGER documents_forbid_delete BEFORE DELETE ON documents
    BEGIN SELECT RAISE(ABORT, 'documents cannot be deleted'); END;
CREATE TRIGGER notices_forbid_update BEFORE UPDATE ON notices
    BEGIN SELECT RAISE(ABORT, 'notices cannot be changed'); END;
CREATE TRIGGER notices_forbid_delete BEFORE DELETE ON notices
    BEGIN SELECT RAISE(ABORT, 'notices cannot be deleted'); END;
CREATE TRIGGER notice_displays_forbid_update BEFORE UPDATE ON notice_displays
    BEGIN SELECT RAISE(ABORT, 'notice displays cannot be changed'); END;
CREATE TRIGGER notice_displays_forbid_delete BEFORE DELETE ON notice_displays
    BEGIN SELECT RAISE(ABORT, 'notice displays cannot be deleted'); END;
CREATE TRIGGER consents_forbid_update BEFORE UPDATE ON consents
    BEGIN SELECT RAISE(ABORT, 'consents cannot be changed'); END;
CREATE TRIGGER consents_forbid_delete BEFORE DELETE ON consents
    BEGIN SELECT RAISE(ABORT, 'consents cannot be deleted'); END;
CREATE TRIGGER consent_subjects_forbid_update BEFORE UPDATE ON consent_subjects
    BEGIN SELECT RAISE(ABORT, 'consents cannot be changed'); END;
CREATE TRIGGER readers_forbid_update BEFORE UPDATE ON readers
    BEGIN SELECT RAISE(ABORT, 'readers cannot be changed'); END;
CREATE TRIGGER readers_forbid_delete BEFORE DELETE ON readers
    BEGIN SELECT RAISE(ABORT, 'readers cannot be deleted'); END;
CREATE TRIGGER retention_runs_forbid_update BEFORE UPDATE ON retention_runs
    BEGIN SELECT RAISE(ABORT, 'retention runs cannot be changed'); END;
CREATE TRIGGER retention_runs_forbid_delete BEFORE DELETE ON retention_runs
    BEGIN SELECT RAISE(ABORT, 'retention runs cannot be deleted'); END;
CREATE TRIGGER processors_forbid_update BEFORE UPDATE ON processors
    BEGIN SELECT RAISE(ABORT, 'processors cannot be changed'); END;
CREATE TRIGGER processors_forbid_delete BEFORE DELETE ON processors
    BEGIN SELECT RAISE(ABORT, 'processors cannot be deleted'); END;
CREATE TRIGGER authorisations_forbid_update BEFORE UPDATE ON authorisations
    BEGIN SELECT RAISE(ABORT, 'authorisations cannot be changed'); END;
CREATE TRIGGER authorisations_forbid_delete BEFORE DELETE ON authorisations
    BEGIN SELECT RAISE(ABORT, 'authorisations cannot be deleted'); END;
CREATE TRIGGER release_requests_forbid_update BEFORE UPDATE ON release_requests
    BEGIN SELECT RAISE(ABORT, 'release requests cannot be changed'); END;
CREATE TRIGGER release_requests_forbid_delete BEFORE DELETE ON release_requests
    BEGIN SELECT RAISE(ABORT, 'release requests cannot be deleted'); END;
CREATE TRIGGER release_request_subjects_forbid_update BEFORE UPDATE ON release_request_subjects
    BEGIN SELECT RAISE(ABORT, 'release requests cannot be changed'); END;
CREATE TRIGGER release_approvals_forbid_update BEFORE UPDATE ON release_approvals
    BEGIN SELECT RAISE(ABORT, 'approvals cannot be changed'); END;
CREATE TRIGGER release_approvals_forbid_delete BEFORE DELETE ON release_approvals
    BEGIN SELECT RAISE(ABORT, 'approvals cannot be deleted'); END;
CREATE TRIGGER release_refusals_forbid_update BEFORE UPDATE ON release_refusals
    BEGIN SELECT RAISE(ABORT, 'refusals cannot be changed'); END;
CREATE TRIGGER release_refusals_forbid_delete BEFORE DELETE ON release_refusals
    BEGIN SELECT RAISE(ABORT, 'refusals cannot be deleted'); END;
CREATE TRIGGER releases_forbid_update BEFORE UPDATE
    OF reference, entry ON releases
    BEGIN SELECT RAISE(ABORT, 'releases cannot be changed'); END;
CREATE TRIGGER releases_forbid_delete BEFORE DELETE ON releases
    BEGIN SELECT RAISE(ABORT, 'releases cannot be deleted'); END;
CREATE TRIGGER recalled_releases_forbid_update BEFORE UPDATE ON releases WHEN OLD.recalled_at IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'recalled releases cannot be changed'); END;
CREATE TRIGGER release_subjects_forbid_update BEFORE UPDATE ON release_subjects
    WHEN NEW.visitor IS NOT NULL OR NEW.commitment IS NOT OLD.commitment
    BEGIN SELECT RAISE(ABORT, 'releases cannot be changed'); END;
CREATE TRIGGER release_subjects_forbid_delete BEFORE DELETE ON release_subjects
    BEGIN SELECT RAISE(ABORT, 'releases cannot be deleted'); END;
CREATE TRIGGER feed_pages_forbid_update BEFORE UPDATE
    OF processor, reference, contract_hash, version, position, records, deletions, provided_at, entry ON feed_pages
    BEGIN SELECT RAISE(ABORT, 'feed pages cannot be changed'); END;
CREATE TRIGGER feed_pages_forbid_delete BEFORE DELETE ON feed_pages
    BEGIN SELECT RAISE(ABORT, 'feed pages cannot be deleted'); END;
