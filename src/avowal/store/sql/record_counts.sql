-- Count the rows of each relation.
SELECT (SELECT count(*) FROM requests) AS requests, (SELECT count(*) FROM script_views) AS script_views,
       (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM views) AS views,
       (SELECT count(*) FROM visits) AS visits
