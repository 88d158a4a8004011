-- List the visitors whose views and visits must be derived again, each with the time from which on; NULL stands for all
-- rows without a key. A visitor with the cookie has another key in a log, so rows of one may concern the other.
-- They are processed in slices of time, so that memory does not grow with the number of new rows.
CREATE OR REPLACE TEMP TABLE visitors_to_derive AS
SELECT visitor_id, min(request_time) AS since
FROM (
    SELECT visitor_id, request_time FROM requests
    WHERE load_number > (SELECT last_load FROM derivation_state)
        AND bot IS NULL AND request_kind IN ('view', 'download', 'upload')
    UNION ALL
    SELECT visitor_id, view_time FROM script_views
    WHERE load_number > (SELECT last_load FROM derivation_state) AND bot IS NULL
    UNION ALL
    SELECT visitor_id, view_time FROM script_views
    WHERE $prefer_script AND daily_key IN (
        SELECT visitor_id FROM requests WHERE load_number > (SELECT last_load FROM derivation_state))
    UNION ALL
    SELECT visitor_id, request_time FROM requests
    WHERE NOT $prefer_script AND visitor_id IN (
        SELECT daily_key FROM script_views WHERE load_number > (SELECT last_load FROM derivation_state))
    UNION ALL
    SELECT visitor_id, since FROM stale_visitors
)
GROUP BY visitor_id
