-- How many requests of a visitor each governing number governs.
SELECT governing, count(*) AS records
FROM requests
WHERE visitor_id = $visitor
GROUP BY governing
ORDER BY governing
