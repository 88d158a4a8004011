-- Count the lines that were left out on purpose, by reason.
SELECT reason, sum(line_count)::BIGINT AS lines FROM dropped_lines GROUP BY reason ORDER BY lines DESC, reason
