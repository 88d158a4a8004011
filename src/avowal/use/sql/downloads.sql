SELECT page_path, count(*) AS downloads, count(DISTINCT visitor_id) AS day_visitors, sum(bytes)::BIGINT AS bytes,
       max(request_time) AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS last_seen
FROM people
WHERE request_kind = 'download'
GROUP BY page_path
HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
ORDER BY downloads DESC, page_path
LIMIT $limit
