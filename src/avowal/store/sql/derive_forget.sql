-- Take away the views and visits that are made anew.
DELETE FROM views
WHERE view_time >= $rows_from
    AND (visitor_id IN (SELECT visitor_id FROM anew)
         OR (visitor_id IS NULL AND view_time >= (SELECT since FROM anew WHERE visitor_id IS NULL)));
DELETE FROM visits
WHERE visit_time >= $rows_from AND visitor_id IN (SELECT visitor_id FROM anew);
