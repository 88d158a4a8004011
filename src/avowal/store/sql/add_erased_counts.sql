-- Add to the counts of what was erased of a visitor, and return the sums.
INSERT INTO erased_counts BY NAME
SELECT $visitor_id AS visitor_id, $requests AS requests, $script_views AS script_views, $events AS events,
       $views AS views, $visits AS visits
ON CONFLICT (visitor_id) DO UPDATE SET
    requests = requests + excluded.requests, script_views = script_views + excluded.script_views,
    events = events + excluded.events, views = views + excluded.views, visits = visits + excluded.visits
RETURNING requests, script_views, events, views, visits
