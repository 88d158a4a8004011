-- Delete the views of a load's requests, which are about to be deleted, and record these, so that processors learn it. The
-- view of a pair becomes that of the script alone. Only logs have such loads.
CREATE OR REPLACE TEMP TABLE removed_requests AS
SELECT record_number, visitor_id, request_time FROM requests WHERE load_number = $load_number;

INSERT INTO record_changes BY NAME
SELECT 'requests' AS relation, record_number FROM removed_requests;

INSERT INTO stale_visitors
SELECT visitor_id, request_time FROM removed_requests
UNION
SELECT visitor_id, view_time FROM views WHERE request_number IN (SELECT record_number FROM removed_requests);

DELETE FROM views
WHERE request_number IN (SELECT record_number FROM removed_requests) AND script_view_number IS NULL;

UPDATE views SET request_number = NULL, view_source = 'script'
WHERE request_number IN (SELECT record_number FROM removed_requests);

UPDATE script_views SET request_number = NULL
WHERE request_number IN (SELECT record_number FROM removed_requests);

DROP TABLE removed_requests;
