-- Count the records by visitor day and visitor that may be from an address, but have no whole one, or one that may not be
-- kept any longer. What is in another network, or in this one under another whole address, is not from it.
SELECT day, visitor_id, count(*) AS records,
       count(*) FILTER (record_time >= $since AND record_time < $until) AS records_of_period
FROM (SELECT unnest($days) AS day, unnest($starts) AS starts, unnest($ends) AS ends) AS period
JOIN collected_records ON record_time >= starts AND record_time < ends
WHERE (ip_address IS NULL OR ip_network(ip_address) = ip_network($address))
    AND (ip_address IS NULL OR contains(ip_address, '/') OR record_time < $address_since[governing])
GROUP BY day, visitor_id
ORDER BY day, visitor_id
