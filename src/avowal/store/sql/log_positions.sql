-- Return how far each log was read.
SELECT log_id, name, format, parser_state, head_bytes, head_digest, read_bytes, read_digest, loaded_at, provisional_digest
FROM logs
