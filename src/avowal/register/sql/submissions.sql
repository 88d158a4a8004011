-- Submissions are chosen by a selector: its reference, its visitor or its form; the other two parameters are null.

-- name: insert_submission
INSERT INTO submissions (reference, form, channel, visitor, version, submitted_at, recorded_at, source, keep_until,
                         objected_purposes, allows_automated_decisions, allowed_readers, allowed_recipients)
VALUES (:reference, :form, :channel, :visitor, :version, :submitted_at, :recorded_at, :source, :keep_until,
        :objected_purposes, :allows_automated_decisions, :allowed_readers, :allowed_recipients);

-- name: select_version_in_force
SELECT coalesce(max(number), 0) FROM publications
WHERE effective_at <= :submitted_at AND publication NOT IN (SELECT publication FROM withdrawals);

-- name: select_version_periods
SELECT version, min(submitted_at), max(submitted_at), count(*) FROM submissions GROUP BY version ORDER BY version;

-- name: insert_field
INSERT INTO submission_fields (submission, field, category, ciphertext, file_name)
VALUES (:submission, :field, :category, :ciphertext, :file_name);

-- name: select_submission
SELECT reference, form, channel, visitor, version, submitted_at, recorded_at, source, keep_until,
       objected_purposes, allows_automated_decisions, allowed_readers, allowed_recipients
FROM submissions WHERE reference = :reference;

-- name: select_in_period
SELECT reference, form, channel, visitor, version, submitted_at, recorded_at, source, keep_until,
       objected_purposes, allows_automated_decisions, allowed_readers, allowed_recipients
FROM submissions WHERE submitted_at >= :since AND submitted_at < :until ORDER BY submission;

-- name: select_of_visitor
SELECT reference, form, channel, visitor, version, submitted_at, recorded_at, source, keep_until,
       objected_purposes, allows_automated_decisions, allowed_readers, allowed_recipients
FROM submissions WHERE visitor = :visitor AND submitted_at >= :since AND submitted_at < :until ORDER BY submission;

-- name: select_chosen
SELECT reference, form, channel, visitor, version, submitted_at, recorded_at, source, keep_until,
       objected_purposes, allows_automated_decisions, allowed_readers, allowed_recipients
FROM submissions WHERE reference = :reference OR visitor = :visitor OR form = :form ORDER BY submission;

-- name: select_readable
-- What SubmissionAccess.check_readable and may_show allow: the JSON lists `oldest_shown` and `oldest_visitors` have, at
-- the index of each version, the earliest time of submissions that may be shown, and of those whose visitor may be.
SELECT reference, form, channel, CASE WHEN submitted_at >= :oldest_visitors ->> version THEN visitor END, version,
       submitted_at, recorded_at, source, keep_until,
       objected_purposes, allows_automated_decisions, allowed_readers, allowed_recipients
FROM submissions
WHERE (reference = :reference OR visitor = :visitor OR form = :form)
  AND submitted_at >= :oldest_shown ->> version
  AND (keep_until IS NULL OR keep_until > :now)
  AND instr(objected_purposes, :purpose) = 0
  AND (allowed_readers = '[]' OR instr(allowed_readers, :reader))
  AND (allows_automated_decisions OR NOT :reader_is_automated)
ORDER BY submission;

-- name: select_fields
SELECT submission_field, field, category, ciphertext, file_name FROM submission_fields
WHERE submission = (SELECT submission FROM submissions WHERE reference = :reference) ORDER BY submission_field;

-- name: select_all_fields
SELECT reference, submission_field, field, category, ciphertext, file_name
FROM submission_fields JOIN submissions USING (submission) ORDER BY submission_field;

-- name: select_any_field
SELECT 1 FROM submission_fields LIMIT 1;

-- name: select_file
SELECT reference, field, ciphertext FROM submission_fields JOIN submissions USING (submission)
WHERE file_name = :file_name;

-- name: select_file_names
SELECT file_name FROM submission_fields WHERE file_name IS NOT NULL;

-- name: select_ciphertexts
SELECT submission_field, ciphertext FROM submission_fields;

-- name: update_ciphertext
UPDATE submission_fields SET ciphertext = :ciphertext WHERE submission_field = :submission_field;

-- name: select_chosen_references
SELECT reference FROM submissions WHERE reference = :reference OR visitor = :visitor OR form = :form;

-- name: delete_chosen
DELETE FROM submissions WHERE reference = :reference OR visitor = :visitor OR form = :form;

-- name: update_field_category
UPDATE submission_fields SET category = :category WHERE field = :field AND submission IN (
    SELECT submission FROM submissions WHERE reference = :reference OR visitor = :visitor OR form = :form
);

-- name: count_chosen
SELECT count(*) FROM submissions WHERE reference = :reference OR visitor = :visitor OR form = :form;

-- name: select_field_categories
SELECT DISTINCT version, category FROM submission_fields JOIN submissions USING (submission)
WHERE (reference = :reference OR visitor = :visitor OR form = :form) AND field = :field ORDER BY version, category;

-- name: insert_restriction
INSERT INTO restrictions (selector_kind, selector_value, entry, settings, salt)
VALUES (:selector_kind, :selector_value, :entry, :settings, :salt);

-- name: delete_restrictions_of_visitor
DELETE FROM restrictions WHERE selector_kind = 'visitor' AND selector_value = :visitor;

-- name: delete_orphaned_restrictions
DELETE FROM restrictions
WHERE (selector_kind = 'submission' AND selector_value NOT IN (SELECT reference FROM submissions))
   OR (selector_kind = 'visitor'
       AND selector_value NOT IN (SELECT visitor FROM submissions WHERE visitor IS NOT NULL));

-- name: select_objected_purposes
SELECT objected_purposes FROM submissions WHERE reference = :reference;

-- name: update_objected_purposes
UPDATE submissions SET objected_purposes = :objected_purposes WHERE reference = :reference;

-- name: insert_objection_subject
INSERT INTO objection_subjects (submission, entry, salt) VALUES (:submission, :entry, :salt);

-- name: insert_correction_subject
INSERT INTO correction_subjects (entry, submission, salt) VALUES (:entry, :submission, :salt);

-- name: delete_orphaned_objections
DELETE FROM objection_subjects WHERE submission NOT IN (SELECT reference FROM submissions);

-- name: delete_orphaned_corrections
DELETE FROM correction_subjects WHERE submission NOT IN (SELECT reference FROM submissions);

-- name: count_expired_fields
SELECT count(*) FROM submission_fields WHERE category = :category AND submission IN (
    SELECT submission FROM submissions WHERE version = :version AND submitted_at < :before
);

-- name: delete_expired_fields
DELETE FROM submission_fields WHERE category = :category AND submission IN (
    SELECT submission FROM submissions WHERE version = :version AND submitted_at < :before
);

-- name: count_expired_visitors
-- The last bit of a visitor's key is 0 in a daily key, and 1 in the key of a cookie.
SELECT count(*) FROM submissions
WHERE version = :version AND submitted_at < :before AND visitor IS NOT NULL
  AND (instr('0123456789abcdef', substr(visitor, 16, 1)) - 1) % 2 = :last_bit;

-- name: clear_expired_visitors
UPDATE submissions SET visitor = NULL
WHERE version = :version AND submitted_at < :before AND visitor IS NOT NULL
  AND (instr('0123456789abcdef', substr(visitor, 16, 1)) - 1) % 2 = :last_bit;

-- name: count_expired_submissions
-- A null `before` means that the terms set no limit.
SELECT count(*) FROM submissions WHERE version = :version AND (submitted_at < :before OR keep_until <= :now);

-- name: delete_expired_submissions
DELETE FROM submissions WHERE version = :version AND (submitted_at < :before OR keep_until <= :now);
