-- Collect the requests and script views that may be paired. A pair stays if one of its records is not among those of the
-- page any more, because retention cut what it was made from, or if it lies before the records that are paired.
CREATE OR REPLACE TEMP TABLE page_script_views AS
SELECT record_number, view_time AS record_time, pages.host, pages.page_path,
       coalesce(daily_key, visitor_id) AS visitor_key, request_number, script_view_id AS tie_breaker, since
FROM script_views JOIN pages_to_pair AS pages
    ON script_views.host IS NOT DISTINCT FROM pages.host AND script_views.page_path IS NOT DISTINCT FROM pages.page_path
WHERE bot IS NULL AND view_time >= since - $tolerance::INTERVAL AND view_time < until
    AND view_time >= (SELECT min(since) - $tolerance::INTERVAL FROM pages_to_pair);

-- A request that was derived before, and whose view is gone, was erased: it makes no view again.
CREATE OR REPLACE TEMP TABLE page_requests AS
SELECT record_number, request_time AS record_time, pages.host, pages.page_path, visitor_id AS visitor_key,
       hash(status, referrer) AS tie_breaker, since
FROM requests JOIN pages_to_pair AS pages
    ON requests.host IS NOT DISTINCT FROM pages.host AND requests.page_path IS NOT DISTINCT FROM pages.page_path
WHERE request_kind = 'view' AND bot IS NULL AND request_time >= since - $tolerance::INTERVAL AND request_time < until
    AND request_time >= (SELECT min(since) - $tolerance::INTERVAL FROM pages_to_pair)
    AND (load_number > (SELECT last_load FROM derivation_state) OR record_number IN (
        SELECT request_number FROM views
        WHERE view_time >= (SELECT min(since) - 2 * $tolerance::INTERVAL FROM pages_to_pair)));

CREATE OR REPLACE TEMP TABLE free_script_views AS
SELECT page_script_views.*
FROM page_script_views LEFT JOIN page_requests AS partner ON request_number = partner.record_number
WHERE request_number IS NULL
    OR (partner.record_number IS NOT NULL
        AND (page_script_views.record_time >= page_script_views.since OR partner.record_time >= partner.since)
        AND coalesce(page_script_views.visitor_key = partner.visitor_key, true));

CREATE OR REPLACE TEMP TABLE free_requests AS
SELECT * FROM page_requests
WHERE record_number NOT IN (
    SELECT request_number FROM script_views
    WHERE request_number IS NOT NULL
        AND view_time >= (SELECT min(since) - 2 * $tolerance::INTERVAL FROM pages_to_pair)
        AND record_number NOT IN (SELECT record_number FROM free_script_views));
