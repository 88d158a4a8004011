UPDATE derived SET through = greatest(through, (SELECT coalesce(max(load), 0) FROM requests));
DELETE FROM stale;
DROP TABLE due;
DROP TABLE IF EXISTS anew;
DROP TABLE IF EXISTS activity;
