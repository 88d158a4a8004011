-- name: insert_consent
INSERT INTO consents (publication, given, language, document_hash, channel, commitment, entry, recorded_at)
VALUES (:publication, :given, :language, :document_hash, :channel, :commitment, :entry, :recorded_at);

-- name: insert_subject
INSERT INTO consent_subjects (consent, visitor, statement, salt) VALUES (:consent, :visitor, :statement, :salt);

-- name: select_for_visitor
SELECT visitor, number, identity, given, language, document_hash, channel,
       json_extract(statement, '$.event.reference'), recorded_at, entry, salt, statement
FROM consent_subjects JOIN consents USING (consent) JOIN publications USING (publication)
WHERE visitor = :visitor ORDER BY consent;

-- name: select_terms
SELECT canonical_terms FROM publications WHERE identity = :identity LIMIT 1;

-- name: select_publication
SELECT publication FROM publications
WHERE number = :version AND identity = :identity AND publication NOT IN (SELECT publication FROM withdrawals);

-- name: select_last_version_in_force
SELECT coalesce(max(number), 0) FROM publications
WHERE effective_at <= :now AND publication NOT IN (SELECT publication FROM withdrawals);

-- name: select_last_consent
SELECT coalesce(max(consent), 0) FROM consents;

-- name: select_consents_to_apply
-- Every consent to a version in force of the visitors who consented or withdrew since, or to a version that took effect
-- since; `is_effective` is 0 for consents to other versions, which only name the visitor.
SELECT visitor, number, given,
       number <= :version AND publication NOT IN (SELECT publication FROM withdrawals) AS is_effective
FROM consent_subjects JOIN consents USING (consent) JOIN publications USING (publication)
WHERE visitor IN (
    SELECT visitor FROM consent_subjects JOIN consents USING (consent) JOIN publications USING (publication)
    WHERE consent > :last_consent OR number > :last_version
)
ORDER BY consent;

-- name: erase_subjects
DELETE FROM consent_subjects WHERE visitor = :visitor;
