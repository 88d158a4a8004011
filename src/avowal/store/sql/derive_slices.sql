-- Where each slice begins: at the first visitor, and then at every $slice_visitors-th; and where the last one ends.
SELECT DISTINCT since
FROM (SELECT since, row_number() OVER (ORDER BY since) - 1 AS place FROM due)
WHERE place % $slice_visitors = 0
UNION
SELECT max(since) + INTERVAL 1 MICROSECOND FROM due
ORDER BY since
