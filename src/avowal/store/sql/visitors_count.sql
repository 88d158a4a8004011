-- Count the requests and script views of several visitors.
SELECT count(*) FROM collected_records WHERE visitor_id IN (SELECT unnest($visitor_ids::UBIGINT[]))
