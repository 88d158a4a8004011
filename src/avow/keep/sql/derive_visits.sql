-- Visits, from all that was done in each. Its first and last page are of the earliest and the latest view; equals in
-- time are put in order by their path.
INSERT INTO visits BY NAME
SELECT visitor_id,
       visit_time,
       CASE WHEN count(*) > 1 AND visit_time >= $visit_duration_since
            THEN date_diff('millisecond', visit_time, max(request_time)) END AS visit_duration_ms,
       min(host) AS host,
       count(*) FILTER (request_kind = 'view') AS views,
       count(*) FILTER (request_kind = 'download') AS downloads,
       count(*) FILTER (request_kind = 'upload') AS uploads,
       min({'at': request_time, 'path': page_path}) FILTER (request_kind = 'view').path AS entry_path,
       max({'at': request_time, 'path': page_path}) FILTER (request_kind = 'view').path AS exit_path,
       min({'at': request_time, 'from': coalesce(referrer, '')})."from" AS referrer,
       min(browser) AS browser,
       min(browser_version) AS browser_version,
       min(operating_system) AS operating_system,
       min(operating_system_version) AS operating_system_version,
       min(device_kind) AS device_kind,
       min(version) AS version,
       min(governing) AS governing
FROM activity
WHERE visit_time >= $visit_time_since
GROUP BY visitor_id, visit_time
