SELECT country, count(*) AS visits, count(*) / sum(count(*)) OVER () AS share, sum(views)::BIGINT AS views,
       count(DISTINCT visitor_id) AS day_visitors
FROM visits_seen
GROUP BY country
HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
ORDER BY visits DESC, country
LIMIT $limit
