-- Count the visitors behind each figure of `web_vitals.sql`, group by group; NULL where it counts no record of a visitor.
SELECT page_path,
       visitors_behind(visitor_id, coalesce(
           largest_contentful_paint_ms, interaction_to_next_paint_ms, cumulative_layout_shift) IS NOT NULL) AS measured_views,
       visitors_behind(visitor_id, largest_contentful_paint_ms IS NOT NULL) AS largest_contentful_paint_p75_ms,
       visitors_behind(visitor_id, interaction_to_next_paint_ms IS NOT NULL) AS interaction_to_next_paint_p75_ms,
       visitors_behind(visitor_id, cumulative_layout_shift IS NOT NULL) AS cumulative_layout_shift_p75,
       least(visitors_behind(visitor_id, largest_contentful_paint_ms <= 2500),
             visitors_behind(visitor_id, largest_contentful_paint_ms > 2500)) AS good_lcp_share,
       least(visitors_behind(visitor_id, interaction_to_next_paint_ms <= 200),
             visitors_behind(visitor_id, interaction_to_next_paint_ms > 200)) AS good_inp_share,
       least(visitors_behind(visitor_id, cumulative_layout_shift <= 0.1),
             visitors_behind(visitor_id, cumulative_layout_shift > 0.1)) AS good_cls_share
FROM filtered_script_views
GROUP BY page_path
