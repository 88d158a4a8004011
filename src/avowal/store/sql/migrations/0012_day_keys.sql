-- Which key of the day a log's lines of a visitor with the cookie have, so that script and log can be matched.
ALTER TABLE looks ADD COLUMN day_key UBIGINT;
