"""Who else may have what: releases on grounds with evidence, and processors under contracts that protect as much."""
