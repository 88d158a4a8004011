-- Return what retention removed and the register has not recorded yet.
SELECT run_number, relation, category, version, sum(record_count)::UBIGINT AS record_count,
       max(removed_at) AS removed_at
FROM retention_removals
GROUP BY run_number, relation, category, version
ORDER BY run_number, relation, category, version
