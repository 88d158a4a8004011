-- Delete the views and visits that are derived again.
DELETE FROM views
WHERE view_time >= $rows_from
    AND (visitor_id IN (SELECT visitor_id FROM visitors_in_slice)
         OR (visitor_id IS NULL AND view_time >= (SELECT since FROM visitors_in_slice WHERE visitor_id IS NULL)));
DELETE FROM visits
WHERE visit_time >= $rows_from AND visitor_id IN (SELECT visitor_id FROM visitors_in_slice);
