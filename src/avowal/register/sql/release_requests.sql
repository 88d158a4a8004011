-- name: insert_request
INSERT INTO release_requests (reference, entry) VALUES (:reference, :entry);

-- name: insert_subject
INSERT INTO release_request_subjects (release_request, visitor, details, salt)
VALUES (:release_request, :visitor, :details, :salt);

-- name: select_requests
-- A null reference chooses all requests.
SELECT CAST(body AS BLOB), details, entry
FROM release_requests JOIN release_request_subjects USING (release_request) LEFT JOIN entries USING (entry)
WHERE :reference IS NULL OR reference = :reference ORDER BY release_request;

-- name: select_closed_references
SELECT reference FROM releases WHERE written_at IS NOT NULL OR recalled_at IS NOT NULL;

-- name: insert_approval
INSERT INTO release_approvals (reference, approver, salt, commitment, approved_at, entry)
VALUES (:reference, :approver, :salt, :commitment, :approved_at, :entry);

-- name: select_approvers
SELECT approver FROM release_approvals WHERE reference = :reference ORDER BY release_approval;

-- name: insert_refusal
INSERT INTO release_refusals (ground, recipient_kind, reason, requester, salt, commitment, refused_at, entry)
VALUES (:ground, :recipient_kind, :reason, :requester, :salt, :commitment, :refused_at, :entry);

-- name: select_refusals
SELECT ground, recipient_kind, reason, requester, refused_at, entry FROM release_refusals ORDER BY release_refusal;

-- name: erase_unreleased
-- The details of the requests with these references, but for those that were released.
DELETE FROM release_request_subjects WHERE release_request IN (
    SELECT release_request FROM release_requests
    WHERE reference IN (SELECT value FROM json_each(:references)) AND reference NOT IN (SELECT reference FROM releases)
);

-- name: erase_about
DELETE FROM release_request_subjects WHERE visitor = :visitor OR release_request IN (
    SELECT release_request FROM release_requests WHERE reference IN (SELECT value FROM json_each(:references))
);
