SELECT browser, browser_version, operating_system, operating_system_version, count(*) AS visits,
       count(*) / sum(count(*)) OVER () AS share
FROM filtered_visits
GROUP BY ALL
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY visits DESC, browser, browser_version, operating_system, operating_system_version
LIMIT $limit
