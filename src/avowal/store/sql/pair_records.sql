-- Return the records that may be paired, page by page, in the order of key and time. Records of the same time are put in
-- an order by their own values, so that the order of loading has no influence.
SELECT host, page_path, visitor_key, record_time, is_script, record_number, request_number
FROM (
    SELECT host, page_path, visitor_key, record_time, true AS is_script, record_number, request_number, tie_breaker
    FROM free_script_views
    UNION ALL
    SELECT host, page_path, visitor_key, record_time, false, record_number, NULL, tie_breaker FROM free_requests
)
ORDER BY host, page_path, visitor_key, record_time, is_script, tie_breaker, record_number
