-- Return a page of a visitor's rows of `visits`: those after the row $after.
SELECT rowid AS row, *
FROM visits
WHERE visitor_id = $visitor_id AND rowid > $after
ORDER BY rowid
LIMIT $limit
