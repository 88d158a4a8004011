-- List the visitor days whose views and visits must be derived again, each with the time from which on; NULL stands for
-- records without a key. A unit is a visitor's key of one day: no visit goes beyond it.
-- They are processed in slices of time, so that memory does not grow with the number of new rows.
CREATE OR REPLACE TEMP TABLE units_to_derive AS
SELECT daily_visitor_id(visitor_id, record_time) AS unit, min(record_time) AS since
FROM (
    SELECT visitor_id, request_time AS record_time FROM requests
    WHERE load_number > (SELECT last_load FROM derivation_state)
        AND bot IS NULL AND request_kind IN ('view', 'download', 'upload')
    UNION ALL
    SELECT visitor_id, view_time FROM script_views
    WHERE load_number > (SELECT last_load FROM derivation_state) AND bot IS NULL
    UNION ALL
    SELECT visitor_id, view_time FROM script_views WHERE record_number IN (SELECT record_number FROM repaired_views)
    UNION ALL
    SELECT visitor_id, request_time FROM requests
    WHERE record_number IN (
        SELECT unnest([request_number, earlier_request_number]) FROM repaired_views)
    UNION ALL
    SELECT visitor_id, since FROM stale_visitors
)
GROUP BY unit;

CREATE OR REPLACE TEMP TABLE attributions (daily_key UBIGINT, version UINTEGER, visitor_id UBIGINT);
