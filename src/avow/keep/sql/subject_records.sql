-- How many records that came in of a visitor each governing number governs.
SELECT governing, count(*) AS records
FROM told
WHERE visitor_id = $visitor
GROUP BY governing
ORDER BY governing
