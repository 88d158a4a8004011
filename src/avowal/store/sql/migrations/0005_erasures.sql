-- How much of a visitor was erased, until the register has it: written with the erasing, so that a kill in between
-- leaves the numbers to whoever goes on.

CREATE TABLE erased (
    visitor_id    UBIGINT PRIMARY KEY,
    requests      UBIGINT NOT NULL,
    views         UBIGINT NOT NULL,
    visits        UBIGINT NOT NULL
);
