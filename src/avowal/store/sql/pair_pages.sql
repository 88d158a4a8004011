-- List the pages of new views that have requests as well as script views, each with the time from which on its records
-- are paired. Pairs of earlier records stay: they were made in the order of time, in three rounds (`store/pairing.py`).
-- Records of the same key lie within one visitor day, so no record that is a day later has an influence.
CREATE OR REPLACE TEMP TABLE pages_to_pair AS
WITH new_requests AS (
    SELECT host, page_path, request_time AS record_time FROM requests
    WHERE load_number > (SELECT last_load FROM derivation_state) AND request_kind = 'view' AND bot IS NULL
),
new_script_views AS (
    SELECT host, page_path, view_time AS record_time FROM script_views
    WHERE load_number > (SELECT last_load FROM derivation_state) AND bot IS NULL
),
pages AS (
    SELECT host, page_path, min(record_time) - 3 * $tolerance::INTERVAL AS since,
           max(record_time) + INTERVAL 25 HOUR AS until
    FROM (
        SELECT * FROM new_script_views
        UNION ALL
        SELECT * FROM new_requests
        WHERE EXISTS (
            FROM script_views WHERE bot IS NULL
                AND view_time >= (SELECT min(record_time) FROM new_requests) - INTERVAL 25 HOUR
                AND view_time < (SELECT max(record_time) FROM new_requests) + INTERVAL 25 HOUR)
    )
    GROUP BY host, page_path
)
SELECT * FROM pages
WHERE EXISTS (
    FROM script_views
    WHERE script_views.host IS NOT DISTINCT FROM pages.host AND script_views.page_path IS NOT DISTINCT FROM pages.page_path
        AND bot IS NULL AND view_time >= (SELECT min(since) - $tolerance::INTERVAL FROM pages));
