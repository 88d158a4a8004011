-- Take in requests of logs, in `records`.

-- Where a log tells for the first time of a day that the script told of, one of the two counts from then on.
INSERT INTO stale
SELECT visitor_id, view_time
FROM looks
JOIN (
    SELECT DISTINCT host, request_time::DATE AS day FROM records WHERE request_kind = 'view' AND bot IS NULL
    EXCEPT SELECT host, request_time::DATE FROM requests
    WHERE request_kind = 'view' AND bot IS NULL AND request_time >= (SELECT min(request_time)::DATE FROM records)
) AS begun ON (begun.host IS NULL OR begun.host = looks.host)
    AND looks.view_time >= begun.day AND looks.view_time < begun.day + INTERVAL 1 DAY
WHERE bot IS NULL;

INSERT INTO requests BY NAME FROM records;
