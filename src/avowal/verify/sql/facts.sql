-- What the register records, in the order of the ledger's entries; `avowal verify` compares each with its entry.

-- name: versions
SELECT publication, number, identity, canonical_terms, terms_text, effective_at, published_at
FROM publications ORDER BY publication;

-- name: withdrawals
SELECT publication, withdrawn_at FROM withdrawals ORDER BY publication;

-- name: documents
SELECT publication, language, text, recorded_at FROM documents ORDER BY document;

-- name: notices
SELECT publication, language, canonical_json FROM notices;

-- name: notice_displays
SELECT notice_display, entry, number, identity, location, attested_by_operator, notice_displays.recorded_at
FROM notice_displays LEFT JOIN publications USING (publication) ORDER BY notice_display;

-- name: retention_runs
SELECT entry, run_number, removed_records, removed_at FROM retention_runs ORDER BY entry;

-- name: consents
SELECT consents.consent, entry, number, identity, given, language, document_hash, channel, recorded_at, commitment,
       consent_subjects.consent, salt, visitor, statement
FROM consents LEFT JOIN publications USING (publication) LEFT JOIN consent_subjects USING (consent)
ORDER BY consents.consent;

-- name: authorisations
SELECT authorisations.authorisation, entry, given, categories, channel, recorded_at, commitment,
       authorisation_subjects.authorisation, salt, visitor, recipient, reference
FROM authorisations LEFT JOIN authorisation_subjects USING (authorisation) ORDER BY authorisations.authorisation;

-- name: release_requests
SELECT entry, reference, json_extract(CAST(body AS TEXT), '$.commitment'), visitor, details, salt
FROM release_requests LEFT JOIN release_request_subjects USING (release_request) LEFT JOIN entries USING (entry)
ORDER BY release_request;

-- name: release_approvals
SELECT entry, reference, approver, salt, approved_at FROM release_approvals ORDER BY release_approval;

-- name: release_refusals
SELECT release_refusal, entry, ground, recipient_kind, reason, requester, salt, refused_at
FROM release_refusals ORDER BY release_refusal;

-- name: releases
SELECT release, entry, reference FROM releases ORDER BY release;

-- name: release_subjects
SELECT release, reference, commitment, visitor, recipient, salt
FROM release_subjects JOIN releases USING (release) ORDER BY release, position;

-- name: recalls
SELECT reference, recalled_at FROM releases WHERE recalled_at IS NOT NULL ORDER BY recalled_at, release;

-- name: processors
SELECT entry, name, contract_text, version_identity, recorded_at FROM processors ORDER BY processor;

-- name: feed_pages
SELECT page, entry, processor, reference, contract_hash, version, records, deletions, provided_at
FROM feed_pages ORDER BY page;

-- name: objection_subjects
SELECT entry, CAST(salt AS BLOB), submission FROM objection_subjects ORDER BY entry;

-- name: correction_subjects
SELECT entry, CAST(salt AS BLOB), submission FROM correction_subjects ORDER BY entry;

-- name: restrictions
SELECT entry, CAST(salt AS BLOB), selector_kind, selector_value, settings FROM restrictions ORDER BY entry;

-- name: submissions
SELECT reference, form, visitor, recorded_at, source, keep_until, objected_purposes, allows_automated_decisions,
       allowed_readers, allowed_recipients
FROM submissions;

-- name: absences
-- The entries of whom nothing is left in the register, by the code of the finding.
SELECT 'consent-mismatch', entry FROM consents LEFT JOIN consent_subjects USING (consent) WHERE salt IS NULL
UNION ALL
SELECT 'authorisation-mismatch', entry
FROM authorisations LEFT JOIN authorisation_subjects USING (authorisation) WHERE salt IS NULL
UNION ALL
SELECT 'release-request-mismatch', release_requests.entry
FROM release_requests JOIN releases USING (reference) LEFT JOIN release_request_subjects USING (release_request)
WHERE salt IS NULL
UNION ALL
SELECT DISTINCT 'release-mismatch', entry FROM releases JOIN release_subjects USING (release) WHERE visitor IS NULL;
