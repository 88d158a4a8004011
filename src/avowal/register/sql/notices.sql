-- name: insert_notice
INSERT INTO notices (publication, language, canonical_json) VALUES (:publication, :language, :canonical_json);

-- name: select_notices
SELECT canonical_json FROM notices JOIN publications USING (publication)
WHERE publication NOT IN (SELECT publication FROM withdrawals) ORDER BY number, language;

-- name: select_displays
SELECT number, location, attested_by_operator, recorded_at
FROM notice_displays JOIN publications USING (publication)
WHERE publication NOT IN (SELECT publication FROM withdrawals) ORDER BY notice_display;

-- name: select_publication
SELECT publication, identity FROM publications
WHERE number = :version AND publication NOT IN (SELECT publication FROM withdrawals);

-- name: insert_display
INSERT INTO notice_displays (publication, attested_by_operator, location, entry, recorded_at)
VALUES (:publication, :attested_by_operator, :location, :entry, :recorded_at);
