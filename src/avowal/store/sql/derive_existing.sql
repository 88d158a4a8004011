-- Find the views and visits that exist already of the activity that is derived.
CREATE OR REPLACE TEMP TABLE existing_views AS
SELECT rowid AS row_id, * FROM views
WHERE view_time >= $rows_from - INTERVAL 5 SECOND AND view_time < $rows_to + INTERVAL 5 SECOND
    AND (request_number IN (SELECT request_number FROM activity)
         OR script_view_number IN (SELECT script_view_number FROM activity));

CREATE OR REPLACE TEMP TABLE existing_visits AS
SELECT rowid AS row_id, * FROM visits
WHERE visit_time >= $rows_from AND visit_time < $rows_to AND visitor_id IS NOT NULL
    AND daily_visitor_id(visitor_id, visit_time) IN (SELECT unit FROM units_in_slice)
    AND (visit_time >= coalesce($whole_since[version], visit_time)
         OR (SELECT last_retained_load FROM derivation_state) = 0);
