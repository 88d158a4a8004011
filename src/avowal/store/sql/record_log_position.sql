-- Record how far a log was read, and add what was read to its counts.
INSERT INTO logs BY NAME
SELECT $log_id AS log_id, $name AS name, $format AS format, $parser_state AS parser_state, $head_bytes AS head_bytes,
       $head_digest AS head_digest, $read_bytes AS read_bytes, $read_digest AS read_digest, $lines AS lines,
       $requests AS requests, $late_requests AS late_requests, $early_requests AS early_requests,
       $provisional_load AS provisional_load, $provisional_digest AS provisional_digest, $loaded_at AS loaded_at
ON CONFLICT (log_id) DO UPDATE SET
    name = excluded.name, format = excluded.format, parser_state = excluded.parser_state,
    read_bytes = excluded.read_bytes, read_digest = excluded.read_digest,
    lines = logs.lines + excluded.lines, requests = logs.requests + excluded.requests,
    late_requests = logs.late_requests + excluded.late_requests,
    early_requests = logs.early_requests + excluded.early_requests,
    provisional_load = excluded.provisional_load, provisional_digest = excluded.provisional_digest,
    loaded_at = excluded.loaded_at
