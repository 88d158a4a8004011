"""Who else may have what: releases on a ground with its evidence, and processors under contracts that protect as much."""
