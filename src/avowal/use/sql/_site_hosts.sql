-- The site's own names: those it was asked by, and, as most logs do not tell these, the one that most of its styles,
-- scripts and pictures were asked for from; each as far as the terms let the purpose see what tells it.
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
