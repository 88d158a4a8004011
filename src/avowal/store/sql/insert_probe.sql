-- Store the result of a probe.
INSERT INTO probes BY NAME
SELECT $probe_time AS probe_time, $page AS page, $host AS host, $state AS state, $interval_seconds AS interval_seconds,
       $failure_reason AS failure_reason, $status AS status, $response_ms AS response_ms,
       $certificate_days AS certificate_days
