-- The governing number that each visitor's consents have raised records to, as far as the register was read.

CREATE TABLE consents (
    visitor_id    UBIGINT PRIMARY KEY,
    governing     UINTEGER NOT NULL CHECK (governing >= 1)
);

CREATE TABLE settled (
    consent       UBIGINT NOT NULL,           -- the register's last consent
    version       UINTEGER NOT NULL           -- the last version that had taken effect
);
INSERT INTO settled VALUES (0, 0);
