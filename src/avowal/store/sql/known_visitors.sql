-- Return every visitor of whom anything is stored.
SELECT visitor_id FROM requests WHERE visitor_id IS NOT NULL
UNION SELECT visitor_id FROM script_views WHERE visitor_id IS NOT NULL
UNION SELECT daily_key FROM script_views WHERE daily_key IS NOT NULL
UNION SELECT visitor_id FROM events WHERE visitor_id IS NOT NULL
UNION SELECT visitor_id FROM views WHERE visitor_id IS NOT NULL
UNION SELECT visitor_id FROM visits WHERE visitor_id IS NOT NULL
UNION SELECT visitor_id FROM visitor_governing
