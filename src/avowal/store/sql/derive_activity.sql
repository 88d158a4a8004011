-- Put the records of the visitor days in `units_in_slice` in order, each with its visit.
-- A visit is a visitor's activity (views, downloads, uploads) without a gap longer than $gap_minutes (docs/concepts.md),
-- on one visitor day and under one version of the terms: so no view or visit holds what was collected under another
-- version than its own (G11).
-- `tie_breaker` orders rows of the same time by their own values, so that the order of loading has no influence.
, timed AS (
    SELECT *, record_time + to_milliseconds(coalesce(visible_ms, 0)) AS end_time FROM records
    WHERE unit IN (SELECT unit FROM units_in_slice)
),
gaps AS (
    SELECT *, coalesce(
        record_time - max(end_time) OVER (
            PARTITION BY unit ORDER BY record_time, tie_breaker ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        > to_minutes($gap_minutes), true)
        OR version <> lag(version) OVER (PARTITION BY unit ORDER BY record_time, tie_breaker) AS starts_visit,
        row_number() OVER (PARTITION BY unit ORDER BY record_time, tie_breaker) AS position
    FROM timed
)
-- A RANGE frame includes the rows of the same time.
SELECT * EXCLUDE (starts_visit), max(CASE WHEN starts_visit THEN record_time END) OVER (
    PARTITION BY unit ORDER BY record_time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS visit_time
FROM gaps;
