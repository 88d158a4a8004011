"""Use stored data for a purpose: purpose views, reports, and readers' own SQL."""
