SELECT browser, browser_version, operating_system, operating_system_version, count(*) AS visits,
       count(*) / sum(count(*)) OVER () AS share
FROM visits_seen
GROUP BY ALL
HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
ORDER BY visits DESC, browser, browser_version, operating_system, operating_system_version
LIMIT $limit
