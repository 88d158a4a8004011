-- Everything that is held of a visitor in `visits`, a page of it: those behind the row $after.
SELECT rowid AS row, * FROM visits WHERE visitor_id = $visitor AND rowid > $after ORDER BY rowid LIMIT $limit
