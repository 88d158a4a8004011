-- Mark every visitor day as stale, because the rules of visits have changed.
INSERT INTO stale_visitors
SELECT visitor_id, min(record_time) FROM collected_records
GROUP BY visitor_id, daily_visitor_id(visitor_id, record_time);
