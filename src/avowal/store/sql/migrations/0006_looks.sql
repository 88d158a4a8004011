-- What the script told of views: one row for each look at a page, whose time grows as the script tells more of it.
CREATE TABLE looks (
    look                     UBIGINT NOT NULL,          -- which look it is, as far as the script can tell
    view_time                TIMESTAMP NOT NULL,
    seen_ms                  UBIGINT,                   -- visible and in focus; null where nothing measured it
    host                     VARCHAR,
    visitor_id               UBIGINT,
    ip_address               VARCHAR,
    country                  VARCHAR,
    bot                      VARCHAR,
    page_path                VARCHAR,
    page_query               VARCHAR,
    referrer                 VARCHAR,
    browser                  VARCHAR,
    browser_version          VARCHAR,
    operating_system         VARCHAR,
    operating_system_version VARCHAR,
    device_kind              device_kind,
    version                  UINTEGER NOT NULL CHECK (version >= 1),
    governing                UINTEGER NOT NULL CHECK (governing >= version),
    load                     UBIGINT NOT NULL
);

-- The journals that were loaded, as long as their files are there.
CREATE TABLE journals (journal VARCHAR PRIMARY KEY);

-- Whatever came in, from logs or from the script.
CREATE VIEW told AS
SELECT visitor_id, request_time AS told_at, ip_address, version, governing, load FROM requests
UNION ALL
SELECT visitor_id, view_time, ip_address, version, governing, load FROM looks;

ALTER TABLE erased ADD COLUMN looks UBIGINT DEFAULT 0;
