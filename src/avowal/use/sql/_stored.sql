-- Count the requests and script views that are stored, whether or not a purpose may see them, and return the times of
-- the first and last of anything that is stored: views and visits may be kept for longer than these.
SELECT count(*) FILTER (record_time >= $since AND record_time < $until) AS stored_rows,
       count(*) AS stored_rows_ever,
       least(min(record_time), (SELECT min(view_time) FROM views), (SELECT min(visit_time) FROM visits)) AS first_time,
       greatest(max(record_time), (SELECT max(view_time) FROM views), (SELECT max(visit_time) FROM visits)) AS last_time,
       stored_rows > 0
           OR EXISTS (FROM views WHERE view_time >= $since AND view_time < $until)
           OR EXISTS (FROM visits WHERE visit_time >= $since AND visit_time < $until) AS has_records,
       (SELECT count(*) FROM unparsable_lines) AS unparsable_lines
FROM collected_records
