-- Give script views to a new visitor. Views and visits of the previous visitors and of the new one become stale.
INSERT INTO stale_visitors
SELECT unnest([visitor_id, $new_visitor_id::UBIGINT]), view_time FROM script_views
WHERE script_view_id IN (SELECT unnest($script_view_ids::UBIGINT[]));
UPDATE script_views SET visitor_id = $new_visitor_id, daily_key = NULL
WHERE script_view_id IN (SELECT unnest($script_view_ids::UBIGINT[]));
