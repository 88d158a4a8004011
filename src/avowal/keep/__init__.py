"""Keep what is stored in line with the terms: consents, retention, erasure, and the search for a visitor's records."""
