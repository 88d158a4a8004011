-- Collect the new views of records without a key. They belong to no visit, and nothing tells when the next view begins.
SELECT *, record_time AS end_time, NULL::BIGINT AS position, NULL::TIMESTAMP AS visit_time
FROM records
WHERE unit IS NULL AND request_kind = 'view'
    AND (is_new OR request_number IN (SELECT unnest([request_number, earlier_request_number]) FROM repaired_views)
         OR script_view_number IN (SELECT record_number FROM repaired_views))
