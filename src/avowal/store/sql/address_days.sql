-- Count the records of an address by visitor day and visitor: those whose whole address may still be kept.
-- $starts and $ends are the limits of each visitor day that the period touches, and $days their dates.
SELECT day, visitor_id, count(*) AS records,
       count(*) FILTER (record_time >= $since AND record_time < $until) AS records_of_period
FROM (SELECT unnest($days) AS day, unnest($starts) AS starts, unnest($ends) AS ends) AS period
JOIN collected_records ON record_time >= starts AND record_time < ends
WHERE ip_address = $address AND record_time >= $address_since[governing]
GROUP BY day, visitor_id
ORDER BY day, visitor_id
