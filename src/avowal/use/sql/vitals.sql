-- Of three quarters of the views it was no more, which is what "good" is told by.
SELECT page_path,
       count(coalesce(largest_contentful_paint_ms, interaction_to_next_paint_ms, cumulative_layout_shift)) AS views_measured,
       quantile_disc(largest_contentful_paint_ms, 0.75) AS largest_contentful_paint_ms,
       quantile_disc(interaction_to_next_paint_ms, 0.75) AS interaction_to_next_paint_ms,
       quantile_disc(cumulative_layout_shift, 0.75) AS cumulative_layout_shift,
       count(*) FILTER (largest_contentful_paint_ms <= 2500) / nullif(count(largest_contentful_paint_ms), 0) AS good_paint_share,
       count(*) FILTER (interaction_to_next_paint_ms <= 200) / nullif(count(interaction_to_next_paint_ms), 0) AS good_answer_share,
       count(*) FILTER (cumulative_layout_shift <= 0.1) / nullif(count(cumulative_layout_shift), 0) AS good_shift_share
FROM filtered_script_views
GROUP BY page_path
HAVING views_measured > 0 AND ($group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min)
ORDER BY views_measured DESC, page_path
LIMIT $limit
