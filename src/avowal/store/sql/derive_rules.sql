-- Everything is stale where the rules of visits have changed.
INSERT INTO stale
SELECT visitor_id, min(told_at) FROM told GROUP BY visitor_id;
