-- Return a page of a visitor's rows of `views`: those after the row $after.
SELECT rowid AS row, *
FROM views
WHERE visitor_id = $visitor_id AND rowid > $after
ORDER BY rowid
LIMIT $limit
