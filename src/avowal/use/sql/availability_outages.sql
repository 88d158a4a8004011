-- List the periods in which a page was down. A gap between probes that is longer than two intervals ends a period, and
-- another may begin after it: what happened in between is unknown. A period whose end was not observed lasts at least to
-- its last probe.
WITH probe_changes AS (
    SELECT *, lag(state) OVER page_probes AS previous_state,
           probe_time > lag(probe_time) OVER page_probes
               + to_seconds(2 * lag(interval_seconds) OVER page_probes) AS follows_gap
    FROM probes
    WHERE probe_time >= $since AND probe_time < $until AND ($host IS NULL OR host GLOB $host)
    WINDOW page_probes AS (PARTITION BY page ORDER BY probe_time)
),
numbered_probes AS (
    SELECT *, count(*) FILTER (
        previous_state IS NULL OR follows_gap OR (state = 'down') <> (previous_state = 'down')
    ) OVER (PARTITION BY page ORDER BY probe_time) AS state_run
    FROM probe_changes
),
state_runs AS (
    SELECT page, state_run, bool_or(state = 'down') AS is_down, arg_min(failure_reason, probe_time) AS failure_reason,
           count(*) AS probes, min(probe_time) AS started, max(probe_time) AS last_probe,
           arg_min(coalesce(follows_gap, false), probe_time) AS follows_gap
    FROM numbered_probes
    GROUP BY page, state_run
),
ended_runs AS (
    SELECT *, CASE WHEN NOT lead(follows_gap) OVER (PARTITION BY page ORDER BY state_run)
                   THEN lead(started) OVER (PARTITION BY page ORDER BY state_run) END AS ended
    FROM state_runs
)
SELECT page, started AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS started_at,
       ended AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS ended_at,
       date_diff('millisecond', started, coalesce(ended, last_probe)) AS outage_duration_ms, failure_reason, probes
FROM ended_runs
WHERE is_down
ORDER BY started DESC, page
LIMIT $limit
