-- How much there is, whether a purpose may see it or not: counts, and between which times.
SELECT count(*) FILTER (told_at >= $since AND told_at < $until) AS kept,
       count(*) AS kept_ever,
       min(told_at) AS first_time,
       max(told_at) AS last_time,
       (SELECT count(*) FROM dead_letters) AS dead_letters
FROM told
