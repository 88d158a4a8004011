-- name: begin
INSERT INTO pending_erasures (visitor) VALUES (:visitor) ON CONFLICT DO NOTHING;

-- name: select_pending
SELECT visitor FROM pending_erasures;

-- name: finish
DELETE FROM pending_erasures WHERE visitor = :visitor;

-- name: select_is_held
SELECT
    EXISTS (SELECT 1 FROM consent_subjects WHERE visitor = :visitor)
    OR EXISTS (SELECT 1 FROM submissions WHERE visitor = :visitor)
    OR EXISTS (SELECT 1 FROM restrictions WHERE selector_kind = 'visitor' AND selector_value = :visitor)
    OR EXISTS (SELECT 1 FROM authorisation_subjects WHERE visitor = :visitor)
    OR EXISTS (SELECT 1 FROM release_request_subjects WHERE visitor = :visitor)
    OR EXISTS (SELECT 1 FROM release_subjects WHERE visitor = :visitor);

-- name: select_visitors
SELECT visitor FROM consent_subjects WHERE visitor IS NOT NULL
UNION SELECT visitor FROM submissions WHERE visitor IS NOT NULL
UNION SELECT selector_value FROM restrictions WHERE selector_kind = 'visitor'
UNION SELECT visitor FROM authorisation_subjects WHERE visitor IS NOT NULL
UNION SELECT visitor FROM release_request_subjects WHERE visitor != ''
UNION SELECT visitor FROM release_subjects WHERE visitor IS NOT NULL;

-- name: select_references
SELECT reference FROM submissions;
