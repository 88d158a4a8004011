SELECT page_path, count(*) AS downloads, count(DISTINCT daily_visitor_id(visitor_id, request_time)) AS unique_visitors, sum(bytes)::BIGINT AS bytes,
       max(request_time) AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS last_seen_at
FROM human_requests
WHERE request_kind = 'download'
GROUP BY page_path
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY downloads DESC, page_path
LIMIT $limit
