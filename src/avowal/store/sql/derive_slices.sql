-- List the times at which slices begin, one for every $slice_visitors_max visitor days, and the time at which the last ends.
SELECT DISTINCT since
FROM (SELECT since, row_number() OVER (ORDER BY since) - 1 AS position FROM units_to_derive WHERE unit IS NOT NULL)
WHERE position % $slice_visitors_max = 0
UNION
SELECT max(since) + INTERVAL 1 MICROSECOND FROM units_to_derive WHERE unit IS NOT NULL
ORDER BY since
