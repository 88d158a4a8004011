SELECT
    (SELECT count(*) FROM human_requests) AS requests,
    (SELECT count(*) FROM filtered_views) AS views,
    count(*) AS visits,
    count(DISTINCT daily_visitor_id(visitor_id, visit_time)) AS unique_visitors,
    avg(views) AS views_per_visit,
    median(visit_duration_ms) AS median_visit_duration_ms,
    avg(visit_duration_ms) AS mean_visit_duration_ms,
    (SELECT median(view_duration_ms) FROM filtered_views) AS median_time_on_page_ms,
    count(*) FILTER (views = 1 AND downloads + uploads = 0) / nullif(count(*), 0) AS bounce_rate,
    count(*) FILTER (downloads > 0) AS visits_with_download,
    count(*) FILTER (uploads > 0) AS visits_with_upload,
    (SELECT sum(bytes)::BIGINT FROM human_requests) AS bytes
FROM filtered_visits
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
