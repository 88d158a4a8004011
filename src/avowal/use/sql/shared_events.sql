-- Count the visitors behind each figure of `events.sql`, group by group; NULL where it counts no record of a visitor.
SELECT event_kind, target, count(DISTINCT visitor_id) AS count, count(DISTINCT visitor_id) AS unique_visitors,
       visitors_behind(visitor_id, upload_bytes > 0) AS bytes
FROM labelled_events
GROUP BY event_kind, target
