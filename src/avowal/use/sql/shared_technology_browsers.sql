-- Count the visitors behind each figure of `technology_browsers.sql`, group by group; NULL where it counts no record of a visitor.
SELECT browser, count(DISTINCT visitor_id) AS visits, count(DISTINCT visitor_id) AS share,
       visitors_behind(visitor_id, views > 0) AS views
FROM filtered_visits
GROUP BY browser
