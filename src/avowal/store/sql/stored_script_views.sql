-- Return which of these script views are stored.
SELECT script_view_id FROM script_views WHERE script_view_id IN (SELECT unnest($script_view_ids::UBIGINT[]))
