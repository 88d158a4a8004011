-- Give looks to a visitor of their own: views and visits of the one before, and of this one, are made anew.
INSERT INTO stale
SELECT unnest([visitor_id, $visitor::UBIGINT]), view_time FROM looks WHERE look IN (SELECT unnest($looks::UBIGINT[]));
UPDATE looks SET visitor_id = $visitor, day_key = NULL WHERE look IN (SELECT unnest($looks::UBIGINT[]));
