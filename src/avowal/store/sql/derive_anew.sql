-- The visitors of one slice.
CREATE OR REPLACE TEMP TABLE anew AS
SELECT * FROM due WHERE since >= $slice_from AND since < $slice_to
