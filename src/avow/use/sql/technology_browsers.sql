SELECT browser, count(*) AS visits, count(*) / sum(count(*)) OVER () AS share, sum(views)::BIGINT AS views
FROM visits_seen
GROUP BY browser
ORDER BY visits DESC, browser
LIMIT $limit
