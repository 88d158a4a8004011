-- Record up to which load, and by which rules, views and visits were derived.
UPDATE derivation_state SET
    last_load = greatest(last_load, (SELECT coalesce(max(load_number), 0) FROM collected_records)),
    gap_minutes = $gap_minutes, prefer_script = $prefer_script;
DELETE FROM stale_visitors;
DROP TABLE visitors_to_derive;
DROP TABLE IF EXISTS visitors_in_slice;
DROP TABLE IF EXISTS activity;
DROP TABLE IF EXISTS script_days;
DROP TABLE IF EXISTS days_with_both_sources;
DROP TABLE IF EXISTS log_script_pairs;
