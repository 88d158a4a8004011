-- When a release's package was written: one that never was can be made again, the same.
ALTER TABLE releases ADD COLUMN written_at TEXT;
UPDATE releases SET written_at = released_at;
