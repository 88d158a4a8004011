-- The visitor days of one slice.
CREATE OR REPLACE TEMP TABLE units_in_slice AS
SELECT * FROM units_to_derive WHERE unit IS NOT NULL AND since >= $slice_from AND since < $slice_to
