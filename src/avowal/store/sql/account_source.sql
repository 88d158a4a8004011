INSERT INTO sources BY NAME
SELECT $source AS source, $name AS name, $format AS format, $state AS state, $head_bytes AS head_bytes,
       $head_digest AS head_digest, $length AS length, $digest AS digest, $lines AS lines, $requests AS requests,
       $late AS late, $early AS early, $provisional AS provisional,
       $provisional_digest AS provisional_digest, $loaded_at AS loaded_at
ON CONFLICT (source) DO UPDATE SET
    name = excluded.name, format = excluded.format, state = excluded.state, length = excluded.length,
    digest = excluded.digest, lines = sources.lines + excluded.lines, requests = sources.requests + excluded.requests,
    late = sources.late + excluded.late, early = sources.early + excluded.early, provisional = excluded.provisional,
    provisional_digest = excluded.provisional_digest, loaded_at = excluded.loaded_at
