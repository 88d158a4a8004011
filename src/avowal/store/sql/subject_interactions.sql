-- Everything that is held of a visitor in `interactions`, a page of it: those behind the row $after.
SELECT rowid AS row, * EXCLUDE (load, record) FROM interactions WHERE visitor_id = $visitor AND rowid > $after
ORDER BY rowid LIMIT $limit
