-- How many records that came in of a visitor under which version, and what governs them.
SELECT version, governing, count(*) AS records
FROM told
WHERE visitor_id = $visitor
GROUP BY version, governing
ORDER BY version, governing
