-- Whether there are requests in the period, and none has a visitor: no line of their logs had an address, or it is past its age.
SELECT count(*) AS requests
FROM (SELECT 1 FROM requests WHERE request_time >= $since AND request_time < $until LIMIT 1)
WHERE NOT EXISTS (
    SELECT 1 FROM requests WHERE request_time >= $since AND request_time < $until AND visitor_id IS NOT NULL
)
