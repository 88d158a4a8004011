-- Collect what the views and visits of a slice are made of, each row a request, a script view, or both of a pair.
-- A pair has the visitor, time and visible time of the script, and the smaller governing number. If its records are of two
-- versions, it has what the stricter one permits: that record alone says what the view holds (G11).
-- `is_script_view` and `row_id` are the record that says what the view holds, and `referrer_row` the request of a pair
-- that may add its referrer.
-- What retention may have reduced is not used again ($whole_since): views and visits outlive what they were made from.
-- A request that was derived before, and whose view is gone, was erased: it makes no view again.
-- `derive_activity.sql` and `derive_keyless.sql` continue this statement.
CREATE OR REPLACE TEMP TABLE activity AS
WITH pairs AS (
    SELECT rowid AS script_view_row, record_number AS script_view_number, request_number, visitor_id, view_time,
           visible_ms, page_path, script_view_id, version, governing,
           load_number > (SELECT last_load FROM derivation_state) AS is_new
    FROM script_views
    WHERE request_number IS NOT NULL AND bot IS NULL AND view_time >= $rows_from AND view_time < $rows_to
),
derived AS (
    SELECT request_number, visit_time FROM views
    WHERE request_number IS NOT NULL AND view_time >= $rows_from - INTERVAL 5 SECOND
        AND view_time < $rows_to + INTERVAL 5 SECOND
),
log_records AS (
    SELECT requests.rowid AS row_id, record_number AS request_number, requests.visitor_id, request_time, request_kind,
           requests.page_path, requests.version, requests.governing, hash(requests.page_path, status, referrer) AS tie_breaker,
           load_number > (SELECT last_load FROM derivation_state) OR coalesce(pairs.is_new, false) AS is_new,
           load_number > (SELECT last_retained_load FROM derivation_state) AS is_complete,
           pairs.script_view_row, pairs.script_view_number, pairs.visitor_id AS script_visitor_id, pairs.view_time,
           pairs.visible_ms, hash(pairs.page_path, script_view_id) AS script_tie_breaker,
           pairs.version AS script_version, pairs.governing AS script_governing,
           pairs.version = requests.version AS same_version,
           coalesce(pairs.version = requests.version
               OR (pairs.governing, pairs.version) < (requests.governing, requests.version), false) AS is_script_view,
           attributions.visitor_id AS attributed_visitor_id, derived.visit_time AS derived_visit_time
    FROM requests
    LEFT JOIN pairs ON record_number = pairs.request_number
    LEFT JOIN attributions ON requests.visitor_id = daily_key AND requests.version = attributions.version
    LEFT JOIN derived ON record_number = derived.request_number
    WHERE request_kind IN ('view', 'download', 'upload') AND bot IS NULL
        AND request_time >= $rows_from AND request_time < $rows_to
        AND (load_number > (SELECT last_load FROM derivation_state) OR request_kind <> 'view'
             OR derived.request_number IS NOT NULL OR request_time < $view_time_since[requests.governing])
),
all_records AS (
    SELECT is_script_view, CASE WHEN is_script_view THEN script_view_row ELSE row_id END AS row_id,
           CASE WHEN same_version THEN row_id END AS referrer_row, request_number, script_view_number,
           CASE WHEN is_script_view THEN coalesce(script_visitor_id, visitor_id)
                ELSE coalesce(attributed_visitor_id, visitor_id) END AS visitor_id,
           CASE WHEN is_script_view THEN view_time ELSE request_time END AS record_time,
           CASE WHEN is_script_view THEN visible_ms END AS visible_ms,
           request_kind, page_path,
           CASE WHEN is_script_view THEN script_version ELSE version END AS version,
           least(governing, script_governing) AS governing,
           CASE WHEN is_script_view THEN script_tie_breaker ELSE tie_breaker END AS tie_breaker,
           is_new, is_complete, derived_visit_time
    FROM log_records
    UNION ALL
    SELECT true, script_views.rowid, NULL, script_views.request_number, record_number, script_views.visitor_id, view_time,
           visible_ms, 'view', page_path, version, governing, hash(page_path, script_view_id),
           load_number > (SELECT last_load FROM derivation_state),
           load_number > (SELECT last_retained_load FROM derivation_state), NULL
    FROM script_views
    WHERE bot IS NULL AND view_time >= $rows_from AND view_time < $rows_to
        AND (request_number IS NULL OR request_number NOT IN (
            SELECT record_number FROM requests
            WHERE request_time >= $rows_from - INTERVAL 5 SECOND AND request_time < $rows_to + INTERVAL 5 SECOND))
),
records AS (
    SELECT * EXCLUDE (is_complete, derived_visit_time), daily_visitor_id(visitor_id, record_time) AS unit
    FROM all_records
    WHERE is_new OR is_complete OR (record_time >= coalesce($whole_since[version], record_time)
                     AND coalesce(derived_visit_time >= $whole_since[version], true))
)
