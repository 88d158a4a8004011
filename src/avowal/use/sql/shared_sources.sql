-- Count the visitors behind each figure of `sources.sql`, group by group; NULL where it counts no record of a visitor.
, sited AS (
    SELECT *, referrer_site(referrer) AS site
    FROM filtered_visits
)
SELECT CASE WHEN list_contains($site_hosts, site) THEN '(this site)' ELSE site END AS source,
       count(DISTINCT visitor_id) AS visits,
       count(DISTINCT visitor_id) AS share,
       visitors_behind(visitor_id, views > 0) AS views,
       visitors_behind(visitor_id, visit_duration_ms IS NOT NULL) AS median_visit_duration_ms
FROM sited
GROUP BY source
