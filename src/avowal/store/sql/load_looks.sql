-- Take in what the script told, in `told_now`: one row for each look, with all that came of it at once.
-- A look that is known has its time grow, never back and never beyond the clock on the wall, save for what the first
-- word may have been under way; its first row stands.
-- No page is open for longer than a day, which bounds what has to be searched.

-- Where the script is heard for the first time on a day, it counts from then on, and not the log.
INSERT INTO stale
SELECT visitor_id, request_time
FROM requests
JOIN (
    SELECT DISTINCT host, view_time::DATE AS day FROM told_now WHERE bot IS NULL
    EXCEPT SELECT host, view_time::DATE FROM looks WHERE bot IS NULL AND view_time >= $oldest
) AS begun ON (requests.host IS NULL OR requests.host = begun.host)
    AND requests.request_time >= begun.day AND requests.request_time < begun.day + INTERVAL 1 DAY
WHERE request_kind = 'view' AND bot IS NULL;

CREATE TEMP TABLE grown AS
SELECT looks.rowid AS place, greatest(
    coalesce(looks.seen_ms, 0),
    least(told_now.seen_ms, greatest(date_diff('millisecond', looks.view_time, told_now.heard_at + $under_way), 0))) AS seen_ms
FROM looks JOIN told_now USING (look)
WHERE looks.view_time >= $oldest AND told_now.seen_ms > coalesce(looks.seen_ms, 0);

INSERT INTO stale
SELECT visitor_id, view_time FROM looks WHERE rowid IN (SELECT place FROM grown);

INSERT INTO changed BY NAME
SELECT 'looks' AS relation, record FROM looks WHERE rowid IN (SELECT place FROM grown);

UPDATE looks SET seen_ms = grown.seen_ms FROM grown WHERE looks.rowid = grown.place;

INSERT INTO changed BY NAME
SELECT 'looks' AS relation, record FROM looks JOIN told_now USING (look)
WHERE looks.view_time >= $oldest
    AND coalesce(told_now.not_found::UINTEGER, told_now.largest_paint_ms, told_now.next_paint_ms,
                 told_now.layout_shift, told_now.script_errors) IS NOT NULL;

UPDATE looks SET not_found = greatest(looks.not_found, told_now.not_found),
    largest_paint_ms = greatest(looks.largest_paint_ms, told_now.largest_paint_ms),
    next_paint_ms = greatest(looks.next_paint_ms, told_now.next_paint_ms),
    layout_shift = greatest(looks.layout_shift, told_now.layout_shift),
    script_errors = greatest(looks.script_errors, told_now.script_errors)
FROM told_now
WHERE looks.look = told_now.look AND looks.view_time >= $oldest
    AND coalesce(told_now.not_found::UINTEGER, told_now.largest_paint_ms, told_now.next_paint_ms,
                 told_now.layout_shift, told_now.script_errors) IS NOT NULL;

DROP TABLE grown;

INSERT INTO looks BY NAME
SELECT * EXCLUDE (heard_at), $load AS load,
    (SELECT last FROM numbered WHERE relation = 'looks') + row_number() OVER () AS record
FROM told_now
WHERE look NOT IN (SELECT look FROM looks WHERE view_time >= $oldest);

INSERT INTO interactions BY NAME
SELECT *, $load AS load,
    (SELECT last FROM numbered WHERE relation = 'interactions') + row_number() OVER () AS record
FROM done_now;

UPDATE numbered SET last = greatest(last, (SELECT coalesce(max(record), 0) FROM looks WHERE load = $load))
WHERE relation = 'looks';
UPDATE numbered SET last = greatest(last, (SELECT coalesce(max(record), 0) FROM interactions WHERE load = $load))
WHERE relation = 'interactions';
