-- Who has the cookie has another key in a log: what comes in there may tell of theirs, and the other way round.
-- Whose views and visits have to be made anew, and since when; the null among them are those without a key.
-- They are taken in slices by time, of $slice_visitors each, so that memory does not grow with what came in.
CREATE OR REPLACE TEMP TABLE due AS
SELECT visitor_id, min(request_time) AS since
FROM (
    SELECT visitor_id, request_time FROM requests
    WHERE load > (SELECT through FROM derived) AND bot IS NULL AND request_kind IN ('view', 'download', 'upload')
    UNION ALL
    SELECT visitor_id, view_time FROM looks WHERE load > (SELECT through FROM derived) AND bot IS NULL
    UNION ALL
    SELECT visitor_id, view_time FROM looks
    WHERE $script_counts AND day_key IN (
        SELECT visitor_id FROM requests WHERE load > (SELECT through FROM derived))
    UNION ALL
    SELECT visitor_id, request_time FROM requests
    WHERE NOT $script_counts AND visitor_id IN (
        SELECT day_key FROM looks WHERE load > (SELECT through FROM derived))
    UNION ALL
    SELECT visitor_id, request_time FROM stale
)
GROUP BY visitor_id
