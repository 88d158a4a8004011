-- Create the table of what some rows of `views` are to be, with the same columns.
CREATE OR REPLACE TEMP TABLE derived_views AS FROM views LIMIT 0
