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
    FROM script_views
    WHERE bot IS NOT NULL AND view_time >= $since AND view_time < $until AND coalesce($status, $method) IS NULL
        AND ($host IS NULL OR coalesce(host, 'unknown') = $host OR host GLOB $host)
        AND ($page IS NULL OR coalesce(page_path, 'unknown') = $page OR page_path GLOB $page)
        AND ($referrer IS NULL OR referrer GLOB $referrer
             OR coalesce(nullif(lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)), ''), '(none)') = $referrer
             OR ($referrer = '(this site)' AND list_contains($site_hosts, coalesce(nullif(lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)), ''), '(none)'))))
        AND ($browser IS NULL OR coalesce(browser, 'unknown') = $browser OR browser GLOB $browser)
        AND ($operating_system IS NULL OR coalesce(operating_system, 'unknown') = $operating_system OR operating_system GLOB $operating_system)
        AND ($device IS NULL OR coalesce(device_kind, 'unknown') = $device OR device_kind GLOB $device)
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
