-- What the script told is erased with the rest, and counted.
ALTER TABLE erasures ADD COLUMN looks INTEGER NOT NULL DEFAULT 0 CHECK (looks >= 0);
