-- What those in `anew` did: each deed (by its row in `requests` or `looks`) with the visit that it belongs to.
-- A visit is a visitor's activity (views, downloads, uploads) with no gap over $gap_minutes: docs/concepts.md.
-- A visitor's key lives for one event-day, so nothing further than the longest day ($rows_from, $rows_to) belongs to
-- what came in now; a cookie's lives for longer, and where one is among them, all that came later is looked at.
-- Where the script and the log told of the same host on the same day, the views of one of them count.
-- `tie` puts deeds of the same moment in an order that they bear themselves, so that the order of loading never shows.
CREATE OR REPLACE TEMP TABLE script_days AS
SELECT DISTINCT host, view_time::DATE AS day
FROM looks
WHERE bot IS NULL AND view_time >= $rows_from::DATE AND view_time - INTERVAL 1 DAY < $rows_to;

CREATE OR REPLACE TEMP TABLE shared_days AS
SELECT DISTINCT script_days.host, day
FROM script_days JOIN requests ON (requests.host IS NULL OR requests.host = script_days.host)
    AND request_time >= day AND request_time < day + INTERVAL 1 DAY
WHERE request_kind = 'view' AND bot IS NULL;

CREATE OR REPLACE TEMP TABLE activity AS
WITH chosen AS (
    SELECT false AS scripted, rowid AS deed, visitor_id, request_time, request_time AS until, request_kind, page_path,
           NULL::UBIGINT AS seen_ms, version, governing, hash(page_path, status, referrer) AS tie
    FROM requests
    WHERE request_kind IN ('view', 'download', 'upload') AND bot IS NULL
        AND request_time >= $rows_from AND request_time < $rows_to
        AND visitor_id IN (SELECT visitor_id FROM anew)
        AND NOT ($script_counts AND request_kind = 'view' AND EXISTS (
            FROM shared_days WHERE day = request_time::DATE AND (requests.host IS NULL OR requests.host = shared_days.host)))
    UNION ALL
    SELECT true, rowid, visitor_id, view_time, view_time + to_milliseconds(coalesce(seen_ms, 0)), 'view', page_path,
           seen_ms, version, governing, hash(page_path, look)
    FROM looks
    WHERE bot IS NULL AND view_time >= $rows_from AND view_time < $rows_to
        AND visitor_id IN (SELECT visitor_id FROM anew)
        AND NOT (NOT $script_counts AND EXISTS (
            FROM shared_days WHERE day = view_time::DATE AND looks.host = shared_days.host))
),
gaps AS (
    SELECT *, coalesce(
        request_time - max(until) OVER (
            PARTITION BY visitor_id ORDER BY request_time, tie ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        > to_minutes($gap_minutes), true) AS starts,
        row_number() OVER (PARTITION BY visitor_id ORDER BY request_time, tie) AS place
    FROM chosen
)
-- The window's frame takes in what bears the same time.
SELECT * EXCLUDE (starts), max(CASE WHEN starts THEN request_time END) OVER (
    PARTITION BY visitor_id ORDER BY request_time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS visit_time
FROM gaps
;

-- What log and script know of each other's deeds: of those that tell of the same view, each the other's nearest within
-- five seconds. A look learns where its visitor came from, and a line for how long the page was seen.
CREATE OR REPLACE TEMP TABLE beside AS
WITH near AS (
    SELECT requests.rowid AS request, looks.rowid AS look, requests.referrer, looks.seen_ms,
           abs(date_diff('millisecond', request_time, view_time)) AS apart
    FROM requests JOIN looks ON requests.visitor_id = coalesce(day_key, looks.visitor_id)
        AND requests.page_path = looks.page_path
    WHERE request_kind = 'view' AND requests.bot IS NULL AND (requests.host IS NULL OR requests.host = looks.host)
        AND CASE WHEN $script_counts THEN looks.visitor_id ELSE requests.visitor_id END IN (SELECT visitor_id FROM anew)
        AND request_time >= $rows_from AND request_time < $rows_to
        AND view_time >= $rows_from AND view_time < $rows_to
        AND view_time BETWEEN request_time - INTERVAL 5 SECOND AND request_time + INTERVAL 5 SECOND
),
matched AS (
    SELECT * FROM near
    QUALIFY row_number() OVER (PARTITION BY request ORDER BY apart, look) = 1
        AND row_number() OVER (PARTITION BY look ORDER BY apart, request) = 1
)
SELECT true AS scripted, look AS deed, referrer, NULL::UBIGINT AS seen_ms FROM matched
UNION ALL
SELECT false, request, NULL, seen_ms FROM matched
