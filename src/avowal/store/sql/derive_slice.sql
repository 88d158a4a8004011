-- The visitors of one slice.
CREATE OR REPLACE TEMP TABLE visitors_in_slice AS
SELECT * FROM visitors_to_derive WHERE since >= $slice_from AND since < $slice_to
