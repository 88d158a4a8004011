SELECT country, count(*) FILTER (request_kind = 'view') AS views, count(DISTINCT visitor_id) AS day_visitors
FROM people
GROUP BY country
HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
ORDER BY views DESC, country
LIMIT $limit
