-- The visitors whose requests came from an address in a period, as far as the address may still be kept whole.
SELECT DISTINCT visitor_id
FROM requests
WHERE ip_address = $address AND request_time >= $since AND request_time < $until
    AND request_time >= $address_since[governing] AND visitor_id IS NOT NULL
