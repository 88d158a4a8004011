-- Let no consent raise a view, or the visit that it is in, above the request that it was derived from: that of a daily key
-- is not raised by the consent of the cookie's visitor.
UPDATE views SET governing = greatest(views.version, requests.governing)
FROM requests
WHERE request_number = record_number AND views.governing > greatest(views.version, requests.governing)
    AND views.visitor_id IN (SELECT visitor_id FROM consenting_visitors);

UPDATE visits SET governing = least_views.governing
FROM (
    SELECT visitor_id, visit_time, min(governing) AS governing FROM views
    WHERE visitor_id IN (SELECT visitor_id FROM consenting_visitors)
    GROUP BY visitor_id, visit_time
) AS least_views
WHERE visits.visitor_id = least_views.visitor_id AND visits.visit_time = least_views.visit_time
    AND visits.governing > least_views.governing;
