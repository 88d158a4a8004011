-- Everything that is held of a visitor in `views`, a page of it: those behind the row $after.
SELECT rowid AS row, * FROM views WHERE visitor_id = $visitor AND rowid > $after ORDER BY rowid LIMIT $limit
