SELECT
    (SELECT count(*) FROM people) AS requests,
    (SELECT count(*) FROM views_seen) AS views,
    count(*) AS visits,
    count(DISTINCT visitor_id) AS day_visitors,
    avg(views) AS views_per_visit,
    median(visit_duration_ms) AS median_visit_duration_ms,
    avg(visit_duration_ms) AS mean_visit_duration_ms,
    (SELECT median(view_duration_ms) FROM views_seen) AS median_view_duration_ms,
    count(*) FILTER (views = 1 AND downloads + uploads = 0) / nullif(count(*), 0) AS single_view_share,
    count(*) FILTER (downloads > 0) AS visits_with_download,
    count(*) FILTER (uploads > 0) AS visits_with_upload,
    (SELECT sum(bytes)::BIGINT FROM people) AS bytes
FROM visits_seen
HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
