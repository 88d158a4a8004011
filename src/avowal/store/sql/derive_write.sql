-- Write where `derived_views` and `derived_visits` differ from the views and visits that exist: so a load writes only what
-- changes, however long the visitor's day is.
-- A view of a script alone is deleted once it is found to be that of a request. No other view is removed here, and nothing
-- that is too old for its governing number, as after a withdrawal: retention removes that, and counts it (K5).
CREATE OR REPLACE TEMP TABLE changed_views AS
SELECT existing_views.row_id, derived_views.*
FROM derived_views JOIN existing_views
    ON coalesce(derived_views.request_number * 2, derived_views.script_view_number * 2 + 1)
        = coalesce(existing_views.request_number * 2, existing_views.script_view_number * 2 + 1);

DELETE FROM views WHERE rowid IN (
    SELECT row_id FROM existing_views
    WHERE request_number IS NULL AND script_view_number IN (
        SELECT script_view_number FROM derived_views WHERE request_number IS NOT NULL));

INSERT INTO views BY NAME
SELECT * FROM derived_views
WHERE coalesce(request_number * 2, script_view_number * 2 + 1) NOT IN (
    SELECT coalesce(request_number * 2, script_view_number * 2 + 1) FROM changed_views);

UPDATE views SET
    view_time = changed.view_time, view_duration_ms = changed.view_duration_ms, visitor_id = changed.visitor_id,
    visit_time = coalesce(changed.visit_time, views.visit_time), host = changed.host, page_path = changed.page_path,
    referrer = changed.referrer, view_source = changed.view_source, script_view_number = changed.script_view_number,
    version = changed.version, governing = changed.governing
FROM (
    SELECT * FROM changed_views
    EXCEPT SELECT row_id, * EXCLUDE (row_id) FROM existing_views
) AS changed
WHERE views.rowid = changed.row_id;

CREATE OR REPLACE TEMP TABLE changed_visits AS
SELECT existing_visits.row_id, derived_visits.*
FROM derived_visits JOIN existing_visits USING (visitor_id, visit_time);

DELETE FROM visits WHERE rowid IN (
    SELECT row_id FROM existing_visits
    WHERE row_id NOT IN (SELECT row_id FROM changed_visits) AND visit_time >= $visit_time_since[governing]);

INSERT INTO visits BY NAME
SELECT * FROM derived_visits
WHERE (visitor_id, visit_time) NOT IN (SELECT (visitor_id, visit_time) FROM changed_visits);

UPDATE visits SET
    visit_duration_ms = changed.visit_duration_ms, host = changed.host, country = changed.country, views = changed.views,
    downloads = changed.downloads, uploads = changed.uploads, entry_path = changed.entry_path,
    exit_path = changed.exit_path, referrer = changed.referrer, browser = changed.browser,
    browser_version = changed.browser_version, operating_system = changed.operating_system,
    operating_system_version = changed.operating_system_version, device_kind = changed.device_kind,
    version = changed.version, governing = changed.governing
FROM (
    SELECT * FROM changed_visits
    EXCEPT SELECT row_id, * EXCLUDE (row_id) FROM existing_visits
) AS changed
WHERE visits.rowid = changed.row_id;
