-- Summarise the records of a visitor in each relation: how many, from when to when, and under which versions.
SELECT 'requests' AS relation, count(*) AS records, min(request_time) AS first, max(request_time) AS last,
       coalesce(list_sort(list(DISTINCT version)), []) AS versions
FROM requests WHERE visitor_id = $visitor_id
UNION ALL
SELECT 'script_views', count(*), min(view_time), max(view_time), coalesce(list_sort(list(DISTINCT version)), [])
FROM script_views WHERE visitor_id = $visitor_id
UNION ALL
SELECT 'events', count(*), min(event_time), max(event_time), coalesce(list_sort(list(DISTINCT version)), [])
FROM events WHERE visitor_id = $visitor_id
UNION ALL
SELECT 'views', count(*), min(view_time), max(view_time), coalesce(list_sort(list(DISTINCT version)), [])
FROM views WHERE visitor_id = $visitor_id
UNION ALL
SELECT 'visits', count(*), min(visit_time), max(visit_time), coalesce(list_sort(list(DISTINCT version)), [])
FROM visits WHERE visitor_id = $visitor_id
