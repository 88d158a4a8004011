, sited AS (
    SELECT *, referrer_site(referrer) AS site
    FROM filtered_visits
)
SELECT CASE WHEN list_contains($site_hosts, site) THEN '(this site)' ELSE site END AS source,
       count(*) AS visits,
       count(*) / sum(count(*)) OVER () AS share,
       sum(views)::BIGINT AS views,
       median(visit_duration_ms) AS median_visit_duration_ms
FROM sited
GROUP BY source
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY visits DESC, source
LIMIT $limit
