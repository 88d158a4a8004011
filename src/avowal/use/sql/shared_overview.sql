-- Count the visitors behind each figure of `overview.sql`, group by group; NULL where it counts no record of a visitor.
SELECT
    (SELECT count(DISTINCT visitor_id) FROM human_requests) AS requests,
    (SELECT count(DISTINCT visitor_id) FROM filtered_views) AS views,
    count(DISTINCT visitor_id) AS visits,
    count(DISTINCT visitor_id) AS unique_visitors,
    visitors_behind(visitor_id, views > 0) AS views_per_visit,
    visitors_behind(visitor_id, visit_duration_ms IS NOT NULL) AS median_visit_duration_ms,
    visitors_behind(visitor_id, visit_duration_ms > 0) AS mean_visit_duration_ms,
    (SELECT visitors_behind(visitor_id, view_duration_ms IS NOT NULL) FROM filtered_views) AS median_time_on_page_ms,
    visitors_apart(visitor_id, views = 1 AND downloads + uploads = 0) AS bounce_rate,
    visitors_apart(visitor_id, downloads > 0) AS visits_with_download,
    visitors_apart(visitor_id, uploads > 0) AS visits_with_upload,
    (SELECT visitors_behind(visitor_id, bytes > 0) FROM human_requests) AS bytes
FROM filtered_visits
