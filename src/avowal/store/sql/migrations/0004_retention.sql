-- What retention took away, until the register has it; and whether the file still has the bytes of it.

CREATE SEQUENCE retention_runs;

CREATE TABLE removed (
    run           UBIGINT NOT NULL,
    relation      VARCHAR NOT NULL,
    category      VARCHAR NOT NULL,
    version       UINTEGER NOT NULL,
    records       UBIGINT NOT NULL CHECK (records > 0),
    removed_at    TIMESTAMP NOT NULL
);

CREATE TABLE rewriting (due BOOLEAN NOT NULL);
INSERT INTO rewriting VALUES (false);

-- What a visit says of its visitor and its deeds may have to go before the visit does.
ALTER TABLE visits ALTER visitor_id DROP NOT NULL;
ALTER TABLE visits ALTER views DROP NOT NULL;
ALTER TABLE visits ALTER downloads DROP NOT NULL;
ALTER TABLE visits ALTER uploads DROP NOT NULL;
