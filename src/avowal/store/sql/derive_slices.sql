-- List the times at which slices begin, one for every $slice_visitors_max visitors, and the time at which the last ends.
SELECT DISTINCT since
FROM (SELECT since, row_number() OVER (ORDER BY since) - 1 AS position FROM visitors_to_derive)
WHERE position % $slice_visitors_max = 0
UNION
SELECT max(since) + INTERVAL 1 MICROSECOND FROM visitors_to_derive
ORDER BY since
