-- The ledger: entries in their order, the nodes of the tree over them, and the checkpoints that were signed.
-- Leaf hashes are the nodes of level 0.

CREATE TABLE entries (
    entry         INTEGER PRIMARY KEY CHECK (entry >= 0),
    body          BLOB NOT NULL
);

CREATE TABLE nodes (
    level         INTEGER NOT NULL CHECK (level >= 0),
    place         INTEGER NOT NULL CHECK (place >= 0),
    hash          BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, place)
) WITHOUT ROWID;

CREATE TABLE checkpoints (
    size          INTEGER PRIMARY KEY CHECK (size >= 1),
    note          TEXT NOT NULL
);

CREATE TRIGGER entries_stay BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER nodes_stay BEFORE UPDATE ON nodes BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER nodes_remain BEFORE DELETE ON nodes BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
