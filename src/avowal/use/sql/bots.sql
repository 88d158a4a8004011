SELECT bot, count(*) AS requests, count(*) / sum(count(*)) OVER () AS share,
       count(DISTINCT page_path) AS distinct_pages, count(*) FILTER (status BETWEEN 400 AND 599) AS errors,
       sum(bytes)::BIGINT AS bytes,
       max(request_time) AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS last_seen_at
FROM filtered_requests
WHERE bot IS NOT NULL
GROUP BY bot
ORDER BY requests DESC, bot
LIMIT $limit
