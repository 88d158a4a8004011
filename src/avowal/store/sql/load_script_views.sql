-- Load script views from `new_script_views`, one row for each with all that its messages reported, and `new_events`.
-- A script view that is stored already keeps its first row. Its visible time grows, but never beyond the time that has
-- passed by our clock, plus $transmission_delay_max for the first message.
-- No page is open for longer than a day, which bounds the rows to search: $oldest_view_time. What was reported under
-- another version of the terms than the first row adds nothing to it: it was reduced to what that version permits.
CREATE TEMP TABLE extended_views AS
SELECT stored.rowid AS row_id,
       greatest(
           coalesce(stored.visible_ms, 0),
           least(reported.visible_ms, greatest(0, date_diff(
               'millisecond', stored.view_time, reported.received_at + $transmission_delay_max)))) AS visible_ms
FROM script_views AS stored JOIN new_script_views AS reported USING (script_view_id, version)
WHERE stored.view_time >= $oldest_view_time AND reported.visible_ms > coalesce(stored.visible_ms, 0);

INSERT INTO stale_visitors
SELECT visitor_id, view_time FROM script_views WHERE rowid IN (SELECT row_id FROM extended_views);

INSERT INTO record_changes BY NAME
SELECT 'script_views' AS relation, record_number FROM script_views WHERE rowid IN (SELECT row_id FROM extended_views);

UPDATE script_views SET visible_ms = extended_views.visible_ms
FROM extended_views
WHERE script_views.rowid = extended_views.row_id;

INSERT INTO record_changes BY NAME
SELECT 'script_views' AS relation, record_number
FROM script_views AS stored JOIN new_script_views AS reported USING (script_view_id, version)
WHERE stored.view_time >= $oldest_view_time
    AND coalesce(reported.not_found::UINTEGER, reported.largest_contentful_paint_ms,
                 reported.interaction_to_next_paint_ms, reported.cumulative_layout_shift,
                 reported.script_errors) IS NOT NULL;

UPDATE script_views AS stored SET
    not_found = greatest(stored.not_found, reported.not_found),
    largest_contentful_paint_ms = greatest(stored.largest_contentful_paint_ms, reported.largest_contentful_paint_ms),
    interaction_to_next_paint_ms = greatest(stored.interaction_to_next_paint_ms, reported.interaction_to_next_paint_ms),
    cumulative_layout_shift = greatest(stored.cumulative_layout_shift, reported.cumulative_layout_shift),
    script_errors = greatest(stored.script_errors, reported.script_errors)
FROM new_script_views AS reported
WHERE stored.script_view_id = reported.script_view_id AND stored.version = reported.version
    AND stored.view_time >= $oldest_view_time
    AND coalesce(reported.not_found::UINTEGER, reported.largest_contentful_paint_ms,
                 reported.interaction_to_next_paint_ms, reported.cumulative_layout_shift,
                 reported.script_errors) IS NOT NULL;

DROP TABLE extended_views;

INSERT INTO script_views BY NAME
SELECT * EXCLUDE (received_at), $load_number AS load_number,
    (SELECT last_number FROM record_numbers WHERE relation = 'script_views') + row_number() OVER () AS record_number
FROM new_script_views
WHERE script_view_id NOT IN (SELECT script_view_id FROM script_views WHERE view_time >= $oldest_view_time);

INSERT INTO events BY NAME
SELECT *, $load_number AS load_number,
    (SELECT last_number FROM record_numbers WHERE relation = 'events') + row_number() OVER () AS record_number
FROM new_events;

UPDATE record_numbers SET last_number = greatest(last_number, (
    SELECT coalesce(max(record_number), 0) FROM script_views WHERE load_number = $load_number))
WHERE relation = 'script_views';
UPDATE record_numbers SET last_number = greatest(last_number, (
    SELECT coalesce(max(record_number), 0) FROM events WHERE load_number = $load_number))
WHERE relation = 'events';
