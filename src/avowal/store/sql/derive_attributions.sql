-- Find the daily keys all of whose pairs are of one visitor with the cookie: their other requests are that visitor's.
-- Only pairs under the same version count, as nothing holds what was collected under another version (G11).
CREATE OR REPLACE TEMP TABLE key_visitors AS
SELECT DISTINCT coalesce(daily_key, script_views.visitor_id) AS daily_key, script_views.version,
       script_views.visitor_id
FROM script_views JOIN requests
    ON script_views.request_number = requests.record_number AND script_views.version = requests.version
WHERE view_time >= (SELECT min(since) - INTERVAL 25 HOUR FROM units_to_derive)
    AND view_time < (SELECT max(since) + INTERVAL 25 HOUR FROM units_to_derive)
    AND request_time >= (SELECT min(since) - INTERVAL 26 HOUR FROM units_to_derive)
    AND request_time < (SELECT max(since) + INTERVAL 26 HOUR FROM units_to_derive);

-- The day of a visitor changes with every key that leads to it, and with every key that led to it.
CREATE OR REPLACE TEMP TABLE touched_keys AS
SELECT unit AS daily_key FROM units_to_derive WHERE unit IS NOT NULL
UNION
SELECT daily_key FROM script_views WHERE record_number IN (SELECT record_number FROM repaired_views);

INSERT INTO units_to_derive
SELECT unit, min(since) AS since
FROM (
    SELECT unnest([requests.visitor_id, daily_visitor_id(key_visitors.visitor_id, request_time)]) AS unit,
           request_time AS since
    FROM requests JOIN key_visitors ON requests.visitor_id = key_visitors.daily_key
    WHERE key_visitors.daily_key IN (SELECT daily_key FROM touched_keys)
        AND request_kind IN ('view', 'download', 'upload') AND bot IS NULL
        AND request_time >= (SELECT min(since) - INTERVAL 25 HOUR FROM units_to_derive)
        AND request_time < (SELECT max(since) + INTERVAL 25 HOUR FROM units_to_derive)
)
WHERE unit NOT IN (SELECT unit FROM units_to_derive WHERE unit IS NOT NULL)
GROUP BY unit;

INSERT INTO attributions
SELECT daily_key, version, min(visitor_id)
FROM key_visitors
GROUP BY daily_key, version
HAVING count(DISTINCT visitor_id) = 1 AND min(visitor_id) & 1 = 1;

DROP TABLE key_visitors;
DROP TABLE touched_keys;
