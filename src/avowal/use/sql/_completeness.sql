-- Count what was measured of what a report counts, and the rows of its period that its purpose may see.
SELECT
    (SELECT count(*) FROM filtered_requests WHERE bot IS NOT NULL) AS bot_requests,
    (SELECT count(*) FROM filtered_views) AS views,
    (SELECT count(view_duration_ms) FROM filtered_views) AS measured_views,
    (SELECT count(*) FROM filtered_views WHERE view_source = 'both') AS paired_views,
    (SELECT count(*) FROM filtered_views WHERE view_source = 'script') AS script_only_views,
    (SELECT count(*) FROM filtered_views WHERE view_source = 'log') AS log_only_views,
    (SELECT count(*) FROM filtered_visits) AS visits,
    (SELECT count(visit_duration_ms) FROM filtered_visits) AS measured_visits,
    (SELECT count(*) FROM requests WHERE request_time >= $since AND request_time < $until)
    + (SELECT count(*) FROM script_views WHERE view_time >= $since AND view_time < $until) AS visible_rows
