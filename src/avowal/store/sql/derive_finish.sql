-- Record up to which load, and by which rules, views and visits were derived.
UPDATE derivation_state SET
    last_load = greatest(last_load, (SELECT coalesce(max(load_number), 0) FROM collected_records)),
    gap_minutes = $gap_minutes;
DELETE FROM stale_visitors;
