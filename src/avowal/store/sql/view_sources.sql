-- Count the views of each host since a time that a log and the script both have, and those that one of them has alone.
SELECT host, count(*) FILTER (view_source = 'both') AS "both", count(*) FILTER (view_source = 'script') AS script_only,
       count(*) FILTER (view_source = 'log') AS log_only
FROM views
WHERE view_time >= $since
GROUP BY host
ORDER BY count(*) DESC, host
