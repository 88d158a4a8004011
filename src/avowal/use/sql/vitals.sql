-- Of three quarters of the views it was no more, which is what "good" is told by.
SELECT page_path,
       count(coalesce(largest_paint_ms, next_paint_ms, layout_shift)) AS views_measured,
       quantile_disc(largest_paint_ms, 0.75) AS largest_paint_ms,
       quantile_disc(next_paint_ms, 0.75) AS next_paint_ms,
       quantile_disc(layout_shift, 0.75) AS layout_shift,
       count(*) FILTER (largest_paint_ms <= 2500) / nullif(count(largest_paint_ms), 0) AS good_paint_share,
       count(*) FILTER (next_paint_ms <= 200) / nullif(count(next_paint_ms), 0) AS good_answer_share,
       count(*) FILTER (layout_shift <= 0.1) / nullif(count(layout_shift), 0) AS good_shift_share
FROM looks_seen
GROUP BY page_path
HAVING views_measured > 0 AND ($smallest = 1 OR count(DISTINCT visitor_id) >= $smallest)
ORDER BY views_measured DESC, page_path
LIMIT $limit
