-- What was done on pages is erased with the rest, and counted.
ALTER TABLE erasures ADD COLUMN interactions INTEGER NOT NULL DEFAULT 0 CHECK (interactions >= 0);
