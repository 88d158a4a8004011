-- A number for each record, by which a processor that has it knows it again; and which of them changed or went since.
CREATE TABLE numbered (
    relation      VARCHAR PRIMARY KEY,
    last          UBIGINT NOT NULL
);
ALTER TABLE requests ADD COLUMN record UBIGINT;
ALTER TABLE looks ADD COLUMN record UBIGINT;
ALTER TABLE interactions ADD COLUMN record UBIGINT;
UPDATE requests SET record = rowid + 1;
UPDATE looks SET record = rowid + 1;
UPDATE interactions SET record = rowid + 1;
INSERT INTO numbered SELECT 'requests', coalesce(max(record), 0) FROM requests;
INSERT INTO numbered SELECT 'looks', coalesce(max(record), 0) FROM looks;
INSERT INTO numbered SELECT 'interactions', coalesce(max(record), 0) FROM interactions;

CREATE SEQUENCE change_numbers;
CREATE TABLE changed (
    change        UBIGINT NOT NULL DEFAULT nextval('change_numbers'),
    relation      VARCHAR NOT NULL,
    record        UBIGINT NOT NULL
);
