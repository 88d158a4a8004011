-- What probes found of each page, and how the last one found it. They tell of no visitor.
SELECT page, arg_max(state, probe_time)::VARCHAR AS state, count(*) AS probes,
       count(*) FILTER (state <> 'down') / count(*) AS up_share,
       count(*) FILTER (state = 'slow') / count(*) AS slow_share,
       median(response_ms) AS median_ms, quantile_disc(response_ms, 0.95) AS p95_ms,
       arg_max(certificate_days, probe_time) AS certificate_days,
       max(probe_time) AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS last_seen
FROM probes
WHERE probe_time >= $since AND probe_time < $until AND ($host IS NULL OR host GLOB $host)
GROUP BY page
ORDER BY page
LIMIT $limit
