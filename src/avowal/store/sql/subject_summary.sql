-- How much is held of a visitor in each relation, from when to when, and under which versions.
SELECT 'requests' AS relation, count(*) AS records, min(request_time) AS first, max(request_time) AS last,
       coalesce(list_sort(list(DISTINCT version)), []) AS versions
FROM requests WHERE visitor_id = $visitor
UNION ALL
SELECT 'looks', count(*), min(view_time), max(view_time), coalesce(list_sort(list(DISTINCT version)), [])
FROM looks WHERE visitor_id = $visitor
UNION ALL
SELECT 'interactions', count(*), min(interaction_time), max(interaction_time),
       coalesce(list_sort(list(DISTINCT version)), [])
FROM interactions WHERE visitor_id = $visitor
UNION ALL
SELECT 'views', count(*), min(view_time), max(view_time), coalesce(list_sort(list(DISTINCT version)), [])
FROM views WHERE visitor_id = $visitor
UNION ALL
SELECT 'visits', count(*), min(visit_time), max(visit_time), coalesce(list_sort(list(DISTINCT version)), [])
FROM visits WHERE visitor_id = $visitor
