-- How much of what a question counts was measured, and how much of its period its purpose may see.
SELECT
    (SELECT count(*) FROM requests_seen WHERE bot IS NOT NULL) AS bot_requests,
    (SELECT count(*) FROM views_seen) AS views,
    (SELECT count(view_duration_ms) FROM views_seen) AS views_measured,
    (SELECT count(*) FROM visits_seen) AS visits,
    (SELECT count(visit_duration_ms) FROM visits_seen) AS visits_measured,
    (SELECT count(*) FROM requests WHERE request_time >= $since AND request_time < $until)
    + (SELECT count(*) FROM looks WHERE view_time >= $since AND view_time < $until) AS visible
