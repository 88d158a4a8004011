-- Show each page's Core Web Vitals. A page is good if three quarters of its views are (web.dev/articles/vitals).
SELECT page_path,
       count(coalesce(largest_contentful_paint_ms, interaction_to_next_paint_ms, cumulative_layout_shift))
           AS measured_views,
       quantile_disc(largest_contentful_paint_ms, 0.75) AS largest_contentful_paint_p75_ms,
       quantile_disc(interaction_to_next_paint_ms, 0.75) AS interaction_to_next_paint_p75_ms,
       quantile_disc(cumulative_layout_shift, 0.75) AS cumulative_layout_shift_p75,
       count(*) FILTER (largest_contentful_paint_ms <= 2500) / nullif(count(largest_contentful_paint_ms), 0)
           AS good_lcp_share,
       count(*) FILTER (interaction_to_next_paint_ms <= 200) / nullif(count(interaction_to_next_paint_ms), 0)
           AS good_inp_share,
       count(*) FILTER (cumulative_layout_shift <= 0.1) / nullif(count(cumulative_layout_shift), 0)
           AS good_cls_share
FROM filtered_script_views
GROUP BY page_path
HAVING measured_views > 0 AND ($group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min)
ORDER BY measured_views DESC, page_path
LIMIT $limit
