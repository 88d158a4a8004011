-- Return every script view that is stored.
SELECT script_view_id FROM script_views
