-- Return a row if there are requests in the period, and none has a visitor: no line of their logs had an address, or the terms
-- do not keep the visitor any longer.
SELECT 1
WHERE EXISTS (FROM requests WHERE request_time >= $since AND request_time < $until)
    AND NOT EXISTS (FROM requests WHERE request_time >= $since AND request_time < $until AND visitor_id IS NOT NULL)
