-- What a question leaves out, and how much of what it counts was measured.
SELECT
    (SELECT count(*) FROM requests_seen WHERE bot IS NOT NULL) AS bot_requests,
    (SELECT count(*) FROM views_seen) AS views,
    (SELECT count(view_duration_ms) FROM views_seen) AS views_measured,
    (SELECT count(*) FROM visits_seen) AS visits,
    (SELECT count(visit_duration_ms) FROM visits_seen) AS visits_measured,
    (SELECT count(*) FROM requests WHERE request_time >= $since AND request_time < $until
        AND request_time < $visible_since[governing]) AS hidden,
    (SELECT count(*) FROM requests WHERE request_time >= $since AND request_time < $until) AS kept,
    (SELECT count(*) FROM requests) AS kept_ever,
    (SELECT min(request_time) FROM requests) AS first_time,
    (SELECT max(request_time) FROM requests) AS last_time,
    (SELECT count(*) FROM dead_letters) AS dead_letters
