-- Count the visitors behind each figure of `technology_browser_versions.sql`, group by group; NULL where it counts no record of a visitor.
SELECT browser, browser_version, operating_system, operating_system_version, count(DISTINCT visitor_id) AS visits,
       count(DISTINCT visitor_id) AS share
FROM filtered_visits
GROUP BY browser, browser_version, operating_system, operating_system_version
