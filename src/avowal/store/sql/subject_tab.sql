-- The looks of one tab, by their numbers, without what leads to others of the same visitor.
SELECT * EXCLUDE (look, load, record) REPLACE (NULL::UBIGINT AS visitor_id, NULL::UBIGINT AS day_key) FROM looks
WHERE look IN (SELECT unnest($looks::UBIGINT[]))
ORDER BY view_time
