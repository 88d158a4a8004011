-- name: select_run
SELECT run_number FROM retention_runs WHERE run_number = :run_number;

-- name: insert_run
INSERT INTO retention_runs (run_number, removed_records, entry, removed_at)
VALUES (:run_number, :removed_records, :entry, :removed_at);
