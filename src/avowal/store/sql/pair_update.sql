-- Write the new partners of script views.
UPDATE script_views SET request_number = repaired_views.request_number
FROM repaired_views
WHERE script_views.record_number = repaired_views.record_number
    AND view_time >= (SELECT min(since) - $tolerance::INTERVAL FROM pages_to_pair);
