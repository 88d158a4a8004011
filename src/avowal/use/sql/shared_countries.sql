-- Count the visitors behind each figure of `countries.sql`, group by group; NULL where it counts no record of a visitor.
SELECT country, count(DISTINCT visitor_id) AS visits, count(DISTINCT visitor_id) AS share,
       visitors_behind(visitor_id, views > 0) AS views, count(DISTINCT visitor_id) AS unique_visitors
FROM filtered_visits
GROUP BY country
