SELECT event_kind, target, count(*) AS count, count(DISTINCT daily_visitor_id(visitor_id, event_time)) AS unique_visitors,
       sum(upload_bytes)::UBIGINT AS bytes
FROM labelled_events
GROUP BY event_kind, target
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY count DESC, event_kind, target
LIMIT $limit
