-- Views, each with its time until the visit's next one. Each $…_since has, for each governing number, the oldest time at
-- which that category may still be kept; it lies at the end of time where it may not be kept at all.
INSERT INTO views BY NAME
WITH timed AS (
    SELECT deed, visit_time, lead(request_time) OVER (
        PARTITION BY visitor_id, visit_time ORDER BY request_time, tie) AS next_view
    FROM activity
    WHERE request_kind = 'view' AND request_time >= $view_time_since[governing]
)
SELECT request_time AS view_time,
       CASE WHEN request_time >= $view_duration_since[governing]
            THEN date_diff('millisecond', request_time, next_view) END AS view_duration_ms,
       visitor_id,
       CASE WHEN visit_time >= $visit_time_since[governing] THEN visit_time END AS visit_time,
       host, page_path, referrer, version, governing
FROM timed JOIN requests ON requests.rowid = timed.deed
WHERE request_time >= $rows_from AND request_time < $rows_to;

INSERT INTO views BY NAME
SELECT request_time AS view_time, host, page_path, referrer, version, governing
FROM requests
WHERE request_kind = 'view' AND bot IS NULL AND visitor_id IS NULL AND request_time >= $view_time_since[governing]
    AND request_time >= (SELECT since FROM anew WHERE visitor_id IS NULL);
