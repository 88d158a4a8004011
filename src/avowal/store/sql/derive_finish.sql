-- Record up to which load, and by which rules, views and visits were derived.
UPDATE derivation_state SET
    last_load = greatest(last_load, (SELECT coalesce(max(load_number), 0) FROM collected_records)),
    gap_minutes = $gap_minutes;
DELETE FROM stale_visitors;
DROP TABLE units_to_derive;
DROP TABLE attributions;
DROP TABLE repaired_views;
DROP TABLE IF EXISTS units_in_slice;
DROP TABLE IF EXISTS activity;
DROP TABLE IF EXISTS existing_views;
DROP TABLE IF EXISTS existing_visits;
DROP TABLE IF EXISTS derived_views;
DROP TABLE IF EXISTS derived_visits;
DROP TABLE IF EXISTS changed_views;
DROP TABLE IF EXISTS changed_visits;
DROP TABLE IF EXISTS pages_to_pair;
DROP TABLE IF EXISTS page_script_views;
DROP TABLE IF EXISTS page_requests;
DROP TABLE IF EXISTS free_script_views;
DROP TABLE IF EXISTS free_requests;
