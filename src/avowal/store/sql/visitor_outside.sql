-- Whether a visitor has a record outside of visitor days, whose limits are $starts and $ends, or from another address.
SELECT EXISTS (
    FROM (
        SELECT record_time, ip_address FROM collected_records WHERE visitor_id = $visitor_id
        UNION ALL SELECT event_time, NULL FROM events WHERE visitor_id = $visitor_id
        UNION ALL SELECT view_time, NULL FROM views WHERE visitor_id = $visitor_id
        UNION ALL SELECT visit_time, NULL FROM visits WHERE visitor_id = $visitor_id
    ) AS records
    WHERE ip_address <> $address
        OR NOT EXISTS (
            FROM (SELECT unnest($starts) AS starts, unnest($ends) AS ends) AS days
            WHERE record_time >= starts AND record_time < ends)
)
