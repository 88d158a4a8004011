-- List the daily keys of visitors with the cookie who had an address in a period.
SELECT DISTINCT visitor_id, daily_key
FROM script_views
WHERE ip_address = $address AND view_time >= $since AND view_time < $until AND daily_key IS NOT NULL
ORDER BY visitor_id, daily_key
