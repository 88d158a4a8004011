-- Load requests of logs from `new_requests`.

-- If a log reports the first views of a host on a day that the script reported too, only one of them counts from now on.
INSERT INTO stale_visitors
SELECT visitor_id, view_time
FROM script_views
JOIN (
    SELECT DISTINCT host, request_time::DATE AS day FROM new_requests WHERE request_kind = 'view' AND bot IS NULL
    EXCEPT SELECT host, request_time::DATE FROM requests
    WHERE request_kind = 'view' AND bot IS NULL AND request_time >= (SELECT min(request_time)::DATE FROM new_requests)
) AS new_days ON (new_days.host IS NULL OR new_days.host = script_views.host)
    AND script_views.view_time >= new_days.day AND script_views.view_time < new_days.day + INTERVAL 1 DAY
WHERE bot IS NULL;

INSERT INTO requests BY NAME FROM new_requests;
