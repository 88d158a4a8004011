-- name: insert_release
INSERT INTO releases (reference, entry) VALUES (:reference, :entry);

-- name: insert_subject
INSERT INTO release_subjects (release, position, commitment, visitor, recipient, salt)
VALUES (:release, :position, :commitment, :visitor, :recipient, :salt);

-- name: select_releases
-- All releases, or only that with a reference, or those of a visitor. Null parameters do not restrict.
SELECT CAST(body AS BLOB),
       coalesce((SELECT max(recipient) FROM release_subjects WHERE release_subjects.release = releases.release), ''),
       recalled_at, entry
FROM releases LEFT JOIN entries USING (entry)
WHERE (:reference IS NULL OR reference = :reference)
  AND (:visitor IS NULL OR release IN (SELECT release FROM release_subjects WHERE visitor = :visitor))
ORDER BY release;

-- name: select_visitors
SELECT visitor, reference FROM release_subjects JOIN releases USING (release) WHERE visitor IS NOT NULL;

-- name: recall
UPDATE releases SET recalled_at = :now WHERE reference = :reference;

-- name: select_unwritten
SELECT 1 FROM releases WHERE reference = :reference AND written_at IS NULL AND recalled_at IS NULL;

-- name: mark_written
UPDATE releases SET written_at = :now WHERE reference = :reference AND written_at IS NULL;

-- name: select_subjects
SELECT position, release_subjects.commitment, visitor, salt
FROM release_subjects JOIN releases USING (release) WHERE reference = :reference ORDER BY position;

-- name: select_references_about
SELECT reference FROM releases WHERE release IN (SELECT release FROM release_subjects WHERE visitor = :visitor);

-- name: erase_subjects
UPDATE release_subjects SET visitor = NULL, recipient = NULL, salt = NULL WHERE visitor = :visitor;

-- name: select_last_authorisation
SELECT given FROM authorisations JOIN authorisation_subjects USING (authorisation)
WHERE visitor IN (SELECT value FROM json_each(:visitors)) AND recipient = :recipient
ORDER BY authorisation DESC LIMIT 1;

-- name: select_pending_erasures
SELECT visitor FROM pending_erasures;

-- name: select_release
SELECT 1 FROM releases WHERE reference = :reference;
