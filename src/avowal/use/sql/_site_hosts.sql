-- List the site's own host names: those that were requested and, because most logs do not have these, the one that
-- referred to most static files. Each is listed only if the terms let the purpose see the column it comes from.
SELECT DISTINCT host FROM requests WHERE host IS NOT NULL
UNION
SELECT site FROM (
    SELECT lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)) AS site,
           count(*) / sum(count(*)) OVER () AS share
    FROM requests
    WHERE request_kind = 'static' AND referrer LIKE '%://%'
    GROUP BY site
)
WHERE share > 0.5
