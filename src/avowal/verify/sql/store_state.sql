-- What `avowal verify` reads from the store.

-- name: record_versions
-- The period and number of the records of each version, and the range of their governing numbers.
SELECT version, min(record_time) AS first, max(record_time) AS last, count(*) AS records,
       min(governing) AS least, max(governing) AS greatest
FROM (SELECT version, record_time, governing FROM collected_records
      UNION ALL SELECT version, event_time, governing FROM events)
GROUP BY version ORDER BY version;

-- name: derived_versions
-- The same of views and visits.
SELECT version, min(record_time) AS first, max(record_time) AS last, count(*) AS records,
       min(governing) AS least, max(governing) AS greatest
FROM (SELECT version, view_time AS record_time, governing FROM views
      UNION ALL SELECT version, visit_time, governing FROM visits)
GROUP BY version ORDER BY version;

-- name: consent_governing
-- The visitors whose records are governed by a later version than the one they were collected under.
SELECT visitor_id, max(governing) AS governing
FROM (SELECT visitor_id, version, governing FROM collected_records
      UNION ALL SELECT visitor_id, version, governing FROM events
      UNION ALL SELECT visitor_id, version, governing FROM views
      UNION ALL SELECT visitor_id, version, governing FROM visits)
WHERE governing > version
GROUP BY visitor_id;

-- name: store_schema
-- The columns of each table, and the SQL of each view.
SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main'
UNION ALL
SELECT view_name, 'view', sql FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'
ORDER BY ALL;
