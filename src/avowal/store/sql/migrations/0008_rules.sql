-- The rules that views and visits were made by: whoever changes the settings has them made anew.
ALTER TABLE derived ADD COLUMN gap_minutes UINTEGER;
ALTER TABLE derived ADD COLUMN script_counts BOOLEAN;
