-- Remove what an erasure of $visitor_id leaves behind under daily keys, before the rows are deleted.
-- The visits of other keys that have an erased request are derived again.
INSERT INTO stale_visitors
SELECT visitor_id, min(request_time) FROM requests
WHERE rowid IN (FROM erased_requests) AND visitor_id <> $visitor_id
GROUP BY visitor_id;

-- What is left of a daily key must not be taken for another visitor's who has the same one.
UPDATE script_views SET daily_key = NULL
WHERE daily_key = $visitor_id
    OR daily_key IN (SELECT own.daily_key FROM script_views AS own WHERE own.visitor_id = $visitor_id);
