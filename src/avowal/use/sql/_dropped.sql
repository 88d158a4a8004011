SELECT reason, sum(lines)::BIGINT AS lines FROM dropped GROUP BY reason ORDER BY lines DESC, reason
