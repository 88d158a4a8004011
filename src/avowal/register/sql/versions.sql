-- name: select_versions
SELECT number, identity, canonical_terms,
       coalesce(
           (SELECT text FROM documents WHERE documents.publication = publications.publication AND language = 'terms'
            ORDER BY document DESC LIMIT 1),
           terms_text
       ) AS terms_text,
       effective_at, published_at
FROM publications
WHERE publication NOT IN (SELECT publication FROM withdrawals) ORDER BY number;

-- name: select_version
SELECT publication, identity FROM publications
WHERE number = :number AND publication NOT IN (SELECT publication FROM withdrawals);

-- name: select_last_version
SELECT publication, number, identity, effective_at FROM publications
WHERE publication NOT IN (SELECT publication FROM withdrawals) ORDER BY number DESC LIMIT 1;

-- name: insert_version
INSERT INTO publications (number, identity, canonical_terms, terms_text, effective_at, published_at)
VALUES (:number, :identity, :canonical_terms, :terms_text, :effective_at, :published_at);

-- name: insert_withdrawal
INSERT INTO withdrawals (publication, withdrawn_at) VALUES (:publication, :withdrawn_at);

-- name: select_documents
SELECT language, text, documents.recorded_at FROM documents JOIN publications USING (publication)
WHERE number = :number AND publication NOT IN (SELECT publication FROM withdrawals) ORDER BY document;

-- name: insert_document
INSERT INTO documents (publication, language, text, sha256, recorded_at)
VALUES (:publication, :language, :text, :sha256, :recorded_at);
