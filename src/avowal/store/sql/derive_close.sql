UPDATE derived SET
    through = greatest(through, (SELECT coalesce(max(load), 0) FROM told)),
    gap_minutes = $gap_minutes, script_counts = $script_counts;
DELETE FROM stale;
DROP TABLE due;
DROP TABLE IF EXISTS anew;
DROP TABLE IF EXISTS activity;
DROP TABLE IF EXISTS script_days;
DROP TABLE IF EXISTS shared_days;
DROP TABLE IF EXISTS beside;
