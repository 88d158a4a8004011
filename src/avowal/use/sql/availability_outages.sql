-- Times through which each probe of a page found it down. Where nobody probed for longer than two turns, one time ends
-- and another begins: what was between is not known. A time whose end nobody saw lasted at least to its last probe.
WITH told AS (
    SELECT *, lag(state) OVER turns AS before,
           probe_time > lag(probe_time) OVER turns + to_seconds(2 * lag(interval_seconds) OVER turns) AS unwatched
    FROM probes
    WHERE probe_time >= $since AND probe_time < $until AND ($host IS NULL OR host GLOB $host)
    WINDOW turns AS (PARTITION BY page ORDER BY probe_time)
),
numbered AS (
    SELECT *, count(*) FILTER (before IS NULL OR unwatched OR (state = 'down') <> (before = 'down')) OVER (
        PARTITION BY page ORDER BY probe_time) AS part
    FROM told
),
parts AS (
    SELECT page, part, bool_or(state = 'down') AS down, arg_min(failure_reason, probe_time) AS failure_reason, count(*) AS probes,
           min(probe_time) AS began, max(probe_time) AS last, arg_min(coalesce(unwatched, false), probe_time) AS unwatched
    FROM numbered
    GROUP BY page, part
),
followed AS (
    SELECT *, CASE WHEN NOT lead(unwatched) OVER (PARTITION BY page ORDER BY part)
                   THEN lead(began) OVER (PARTITION BY page ORDER BY part) END AS ended
    FROM parts
)
SELECT page, began AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS began_at,
       ended AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS ended_at,
       date_diff('millisecond', began, coalesce(ended, last)) AS outage_duration_ms, failure_reason, probes
FROM followed
WHERE down
ORDER BY began DESC, page
LIMIT $limit
