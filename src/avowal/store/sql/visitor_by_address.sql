-- List the visitors who had an address in a period, by records of which the whole address may still be kept.
SELECT DISTINCT visitor_id
FROM collected_records
WHERE ip_address = $address AND record_time >= $since AND record_time < $until
    AND record_time >= $address_since[governing] AND visitor_id IS NOT NULL
