-- Return the newest day (UTC) with at least 20 requests and script views of people whose address is stored, how many
-- different addresses these have, and one of them.
WITH seen AS (
    SELECT request_time::DATE AS day, ip_address FROM requests WHERE ip_address IS NOT NULL AND bot IS NULL
    UNION ALL
    SELECT view_time::DATE, ip_address FROM script_views WHERE ip_address IS NOT NULL AND bot IS NULL
)
SELECT day, count(DISTINCT ip_address) AS addresses, min(ip_address) AS address
FROM seen
GROUP BY day
HAVING count(*) >= 20
ORDER BY day DESC
LIMIT 1
