-- What came of asking the site's own pages: of no visitor, and so under no terms.
CREATE TABLE probes (
    probe_time               TIMESTAMP NOT NULL,
    page                     VARCHAR NOT NULL,
    host                     VARCHAR NOT NULL,
    state                    ENUM('up', 'slow', 'down') NOT NULL,
    stands_seconds           UINTEGER NOT NULL,
    why                      VARCHAR,
    status                   USMALLINT,
    response_ms              UINTEGER,
    certificate_days         INTEGER
);
