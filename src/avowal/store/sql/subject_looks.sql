-- Everything that is held of a visitor in `looks`, a page of it: those behind the row $after.
SELECT rowid AS row, * EXCLUDE (look, load, record) FROM looks WHERE visitor_id = $visitor AND rowid > $after
ORDER BY rowid LIMIT $limit
