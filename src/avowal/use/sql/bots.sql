-- Bots by their requests in logs and by the views that they reported as the script does. A filter on requests alone leaves
-- out the script views.
, bot_requests AS (
    SELECT bot, count(*) AS requests, count(DISTINCT page_path) AS distinct_pages,
           count(*) FILTER (status BETWEEN 400 AND 599) AS errors, sum(bytes)::BIGINT AS bytes,
           max(request_time) AS last_request_at
    FROM filtered_requests
    WHERE bot IS NOT NULL
    GROUP BY bot
),
bot_script_views AS (
    SELECT bot, count(*) AS script_views, max(view_time) AS last_view_at
    FROM script_views_in_period
    WHERE bot IS NOT NULL AND coalesce($status, $method) IS NULL
    GROUP BY bot
)
SELECT bot,
       coalesce($ai_operators[list_position($ai_names, bot)], '') AS ai_operator,
       coalesce($ai_purposes[list_position($ai_names, bot)], '') AS ai_purpose,
       coalesce(requests, 0) AS requests,
       coalesce(requests, 0) / nullif(sum(requests) OVER (), 0) AS share,
       coalesce(distinct_pages, 0) AS distinct_pages,
       coalesce(errors, 0) AS errors,
       bytes,
       coalesce(script_views, 0) AS script_views,
       greatest(last_request_at, last_view_at) AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS last_seen_at
FROM bot_requests FULL JOIN bot_script_views USING (bot)
ORDER BY requests DESC, script_views DESC, bot
LIMIT $limit
