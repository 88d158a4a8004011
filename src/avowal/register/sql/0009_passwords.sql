-- With what readers sign in. What is stored is a hash (scrypt) under a salt of its own.
CREATE TABLE passwords (
    password      INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
    salt          BLOB NOT NULL CHECK (length(salt) = 16),
    hash          BLOB NOT NULL CHECK (length(hash) = 32),
    recorded_at   TEXT NOT NULL
);
