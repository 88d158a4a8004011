-- name: insert_authorisation
INSERT INTO authorisations (given, categories, channel, commitment, entry, recorded_at)
VALUES (:given, :categories, :channel, :commitment, :entry, :recorded_at);

-- name: insert_subject
INSERT INTO authorisation_subjects (authorisation, visitor, recipient, reference, salt)
VALUES (:authorisation, :visitor, :recipient, :reference, :salt);

-- name: select_for_visitor
SELECT CAST(body AS BLOB), salt, visitor, recipient, given, categories, channel, reference, recorded_at,
       authorisations.entry
FROM authorisations JOIN authorisation_subjects USING (authorisation) LEFT JOIN entries USING (entry)
WHERE visitor = :visitor ORDER BY authorisation;

-- name: erase_subjects
DELETE FROM authorisation_subjects WHERE visitor = :visitor;
