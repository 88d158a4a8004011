-- Views, each with the time that it was seen for, where the script measured it; in a log, its time until the visit's
-- next one. Each $…_since has, for each governing number, the oldest time at which that category may still be kept; it
-- lies at the end of time where it may not be kept at all.
INSERT INTO views BY NAME
WITH timed AS (
    SELECT *, lead(request_time) OVER (
        PARTITION BY visitor_id, visit_time ORDER BY request_time, tie) AS next_view
    FROM activity
    WHERE request_kind = 'view' AND request_time >= $view_time_since[governing]
)
SELECT request_time AS view_time,
       CASE WHEN request_time >= $view_duration_since[governing]
            THEN CASE WHEN scripted THEN timed.seen_ms
                      ELSE coalesce(beside.seen_ms, date_diff('millisecond', request_time, next_view)) END
       END AS view_duration_ms,
       visitor_id,
       CASE WHEN visit_time >= $visit_time_since[governing] THEN visit_time END AS visit_time,
       whole.host, whole.page_path,
       coalesce(whole.referrer, beside.referrer) AS referrer, timed.version, timed.governing
FROM timed JOIN (
    SELECT false AS scripted, rowid AS deed, host, page_path, referrer FROM requests
    WHERE request_time >= $rows_from AND request_time < $rows_to
    UNION ALL
    SELECT true, rowid, host, page_path, referrer FROM looks
    WHERE view_time >= $rows_from AND view_time < $rows_to
) AS whole USING (scripted, deed)
LEFT JOIN beside USING (scripted, deed);

-- Of those without a key, every view since the first that came in: the same choice between script and log, by the days
-- on which the other one told of the host.
INSERT INTO views BY NAME
WITH told_days AS MATERIALIZED (
    SELECT DISTINCT host, view_time::DATE AS day
    FROM looks
    WHERE bot IS NULL AND $script_counts AND view_time >= (SELECT since::DATE FROM anew WHERE visitor_id IS NULL)
)
SELECT request_time AS view_time, host, page_path, referrer, version, governing
FROM requests
WHERE request_kind = 'view' AND bot IS NULL AND visitor_id IS NULL AND request_time >= $view_time_since[governing]
    AND request_time >= (SELECT since FROM anew WHERE visitor_id IS NULL)
    AND NOT EXISTS (
        FROM told_days WHERE day = request_time::DATE AND (requests.host IS NULL OR requests.host = told_days.host));

INSERT INTO views BY NAME
WITH told_days AS MATERIALIZED (
    SELECT DISTINCT host, request_time::DATE AS day
    FROM requests
    WHERE request_kind = 'view' AND bot IS NULL AND NOT $script_counts
        AND request_time >= (SELECT since::DATE FROM anew WHERE visitor_id IS NULL)
)
SELECT view_time,
       CASE WHEN view_time >= $view_duration_since[governing] THEN seen_ms END AS view_duration_ms,
       host, page_path, referrer, version, governing
FROM looks
WHERE bot IS NULL AND visitor_id IS NULL AND view_time >= $view_time_since[governing]
    AND view_time >= (SELECT since FROM anew WHERE visitor_id IS NULL)
    AND NOT EXISTS (
        FROM told_days WHERE day = view_time::DATE AND (told_days.host IS NULL OR told_days.host = looks.host));
