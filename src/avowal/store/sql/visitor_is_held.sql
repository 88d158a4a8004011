-- Whether any record is of a visitor, by its own key or by the daily key of a cookie's visitor.

SELECT
    EXISTS (FROM requests WHERE visitor_id = $visitor_id)
    OR EXISTS (FROM script_views WHERE visitor_id = $visitor_id OR daily_key = $visitor_id)
    OR EXISTS (FROM events WHERE visitor_id = $visitor_id)
    OR EXISTS (FROM views WHERE visitor_id = $visitor_id)
    OR EXISTS (FROM visits WHERE visitor_id = $visitor_id)
    OR EXISTS (FROM visitor_governing WHERE visitor_id = $visitor_id);
