-- Count the collected records of a visitor by version and governing version.
SELECT version, governing, count(*) AS records
FROM collected_records
WHERE visitor_id = $visitor_id
GROUP BY version, governing
ORDER BY version, governing
