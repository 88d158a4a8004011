SELECT country, count(*) AS visits, count(*) / sum(count(*)) OVER () AS share, sum(views)::BIGINT AS views,
       count(DISTINCT daily_visitor_id(visitor_id, visit_time)) AS unique_visitors
FROM filtered_visits
GROUP BY country
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY visits DESC, country
LIMIT $limit
