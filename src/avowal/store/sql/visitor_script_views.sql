-- Return a page of a visitor's rows of `script_views`: those after the row $after.
SELECT rowid AS row, * EXCLUDE (script_view_id, load_number, record_number)
FROM script_views
WHERE visitor_id = $visitor_id AND rowid > $after
ORDER BY rowid
LIMIT $limit
