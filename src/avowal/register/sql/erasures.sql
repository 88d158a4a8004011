-- name: begin
INSERT INTO pending_erasures (visitor) VALUES (:visitor) ON CONFLICT DO NOTHING;

-- name: select_pending
SELECT visitor FROM pending_erasures;

-- name: finish
DELETE FROM pending_erasures WHERE visitor = :visitor;
