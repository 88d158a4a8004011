-- Count the rows that are stored, whether or not a purpose may see them, and return the times of the first and last.
SELECT count(*) FILTER (record_time >= $since AND record_time < $until) AS stored_rows,
       count(*) AS stored_rows_ever,
       min(record_time) AS first_time,
       max(record_time) AS last_time,
       (SELECT count(*) FROM unparsable_lines) AS unparsable_lines
FROM collected_records
