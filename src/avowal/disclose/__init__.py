"""Disclosures: releases on legal grounds with evidence, and processors under contracts that protect enough."""
