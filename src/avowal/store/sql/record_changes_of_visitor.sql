-- Record that the records of a visitor are about to be deleted, so that processors learn it.
INSERT INTO record_changes BY NAME
SELECT 'requests' AS relation, record_number FROM requests WHERE visitor_id = $visitor_id
UNION ALL SELECT 'script_views', record_number FROM script_views WHERE visitor_id = $visitor_id
UNION ALL SELECT 'events', record_number FROM events WHERE visitor_id = $visitor_id
