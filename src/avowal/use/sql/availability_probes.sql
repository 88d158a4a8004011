-- Summarise the probes of each page, with the state that the last one found. Probes concern no visitor.
SELECT page, arg_max(state, probe_time)::VARCHAR AS last_state, count(*) AS probes,
       count(*) FILTER (state <> 'down') / count(*) AS uptime_share,
       count(*) FILTER (state = 'slow') / count(*) AS slow_share,
       median(response_ms) AS median_response_ms, quantile_disc(response_ms, 0.95) AS p95_response_ms,
       arg_max(certificate_days, probe_time) AS certificate_days_left,
       max(probe_time) AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS last_seen_at
FROM probes
WHERE probe_time >= $since AND probe_time < $until AND ($host IS NULL OR host GLOB $host)
GROUP BY page
ORDER BY page
LIMIT $limit
