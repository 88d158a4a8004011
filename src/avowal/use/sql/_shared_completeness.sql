-- Count the visitors behind each number of `_completeness.sql` that is about visitors.
SELECT
    (SELECT count(DISTINCT visitor_id) FROM filtered_views) AS views,
    (SELECT visitors_apart(visitor_id, view_duration_ms IS NOT NULL) FROM filtered_views) AS measured_views,
    (SELECT count(DISTINCT visitor_id) FROM filtered_visits) AS visits,
    (SELECT visitors_apart(visitor_id, visit_duration_ms IS NOT NULL) FROM filtered_visits) AS measured_visits
