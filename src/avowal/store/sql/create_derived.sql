-- Create the tables of what some rows of `views` and `visits` are to be, with the same columns.
CREATE OR REPLACE TEMP TABLE derived_views AS FROM views LIMIT 0;
CREATE OR REPLACE TEMP TABLE derived_visits AS FROM visits LIMIT 0;
