-- The visitors whose records came from an address in a period, as far as the address may still be kept whole.
SELECT DISTINCT visitor_id
FROM told
WHERE ip_address = $address AND told_at >= $since AND told_at < $until
    AND told_at >= $address_since[governing] AND visitor_id IS NOT NULL
