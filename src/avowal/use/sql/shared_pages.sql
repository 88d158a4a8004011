-- Count the visitors behind each figure of `pages.sql`, group by group; NULL where it counts no record of a visitor.
, entries AS (SELECT entry_path AS page_path, count(DISTINCT visitor_id) AS entries FROM filtered_visits GROUP BY ALL),
exits AS (SELECT exit_path AS page_path, count(DISTINCT visitor_id) AS exits FROM filtered_visits GROUP BY ALL),
pages AS (
    SELECT page_path,
           count(DISTINCT visitor_id) AS views,
           count(DISTINCT visitor_id) AS unique_visitors,
           visitors_behind(visitor_id, view_duration_ms IS NOT NULL) AS median_time_on_page_ms,
           visitors_apart(visitor_id, view_duration_ms IS NOT NULL) AS measured_share
    FROM filtered_views
    GROUP BY page_path
)
SELECT pages.*, entries, exits FROM pages LEFT JOIN entries USING (page_path) LEFT JOIN exits USING (page_path)
