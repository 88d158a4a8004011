-- Return a page of a visitor's rows of `events`: those after the row $after.
SELECT rowid AS row, * EXCLUDE (load_number, record_number)
FROM events
WHERE visitor_id = $visitor_id AND rowid > $after
ORDER BY rowid
LIMIT $limit
