-- Create the table of what some rows of `visits` are to be, with the same columns.
CREATE OR REPLACE TEMP TABLE derived_visits AS FROM visits LIMIT 0
