-- How much there is, whether a purpose may see it or not: counts, and between which times.
SELECT count(*) FILTER (request_time >= $since AND request_time < $until) AS kept,
       count(*) AS kept_ever,
       min(request_time) AS first_time,
       max(request_time) AS last_time,
       (SELECT count(*) FROM dead_letters) AS dead_letters
FROM requests
