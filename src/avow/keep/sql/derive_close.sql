UPDATE derived SET through = greatest(through, (SELECT coalesce(max(load), 0) FROM requests));
DELETE FROM stale;
DROP TABLE anew;
DROP TABLE activity;
