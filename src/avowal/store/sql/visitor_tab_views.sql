-- Return the script views of one browser tab, without what leads to other records of the same visitor.
SELECT * EXCLUDE (script_view_id, request_number, load_number, record_number)
         REPLACE (NULL::UBIGINT AS visitor_id, NULL::UBIGINT AS daily_key)
FROM script_views
WHERE script_view_id IN (SELECT unnest($script_view_ids::UBIGINT[]))
ORDER BY view_time
