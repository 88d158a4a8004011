-- What is kept in bulk. Columns are named by the categories of the vocabulary; times are UTC; null is what the terms
-- did not let in, or what was not told. `version` is the version of the terms that governed a row's collection, and
-- never changes; `governing` is the one that governs it now.

CREATE SEQUENCE load_numbers;

-- Words of a closed list are types of their own: cheaper to load than a CHECK, and as strict.
CREATE TYPE request_kind AS ENUM ('view', 'download', 'upload', 'static', 'other');
CREATE TYPE device_kind AS ENUM ('desktop', 'phone', 'tablet', 'tv');

CREATE TABLE sources (
    source        VARCHAR PRIMARY KEY,
    name          VARCHAR NOT NULL,
    format        VARCHAR NOT NULL,
    state         VARCHAR NOT NULL,
    head_bytes    UINTEGER NOT NULL CHECK (head_bytes BETWEEN 1 AND 4096),
    head_digest   VARCHAR NOT NULL,
    length        UBIGINT NOT NULL,
    digest        VARCHAR NOT NULL,
    lines         BIGINT NOT NULL,
    requests      BIGINT NOT NULL,
    late          BIGINT NOT NULL,            -- requests of a day whose salt was gone
    early         BIGINT NOT NULL,            -- requests older than the first version of the terms
    provisional   UBIGINT,                    -- the load of a last line that the log may yet go on writing
    provisional_digest VARCHAR,
    loaded_at     TIMESTAMP NOT NULL
);

CREATE TABLE dropped (
    source        VARCHAR NOT NULL,
    load          UBIGINT NOT NULL,
    reason        VARCHAR NOT NULL,
    lines         UBIGINT NOT NULL CHECK (lines > 0)
);

CREATE TABLE dead_letters (
    source        VARCHAR NOT NULL,
    load          UBIGINT NOT NULL,
    "offset"      UBIGINT NOT NULL,
    length        UBIGINT NOT NULL,
    reason        VARCHAR NOT NULL,
    shape         VARCHAR NOT NULL CHECK (length(shape) <= 120)
);

CREATE TABLE requests (
    request_time             TIMESTAMP NOT NULL,
    host                     VARCHAR,
    visitor_id               UBIGINT,
    ip_address               VARCHAR,
    country                  VARCHAR,
    request_kind             request_kind,
    bot                      VARCHAR,
    method                   VARCHAR,
    page_path                VARCHAR,
    page_query               VARCHAR,
    referrer                 VARCHAR,
    status                   USMALLINT CHECK (status BETWEEN 0 AND 999),
    bytes                    BIGINT CHECK (bytes >= 0),
    response_time_us         BIGINT CHECK (response_time_us >= 0),
    browser                  VARCHAR,
    browser_version          VARCHAR,
    operating_system         VARCHAR,
    operating_system_version VARCHAR,
    device_kind              device_kind,
    version                  UINTEGER NOT NULL CHECK (version >= 1),
    governing                UINTEGER NOT NULL CHECK (governing >= version),
    load                     UBIGINT NOT NULL
);

CREATE TABLE views (
    view_time                TIMESTAMP NOT NULL,
    view_duration_ms         UBIGINT,         -- to the visit's next view; null for its last one
    visitor_id               UBIGINT,
    visit_time               TIMESTAMP,       -- with visitor_id, the visit that it belongs to
    host                     VARCHAR,
    page_path                VARCHAR,
    referrer                 VARCHAR,
    version                  UINTEGER NOT NULL CHECK (version >= 1),
    governing                UINTEGER NOT NULL CHECK (governing >= version)
);

CREATE TABLE visits (
    visitor_id               UBIGINT NOT NULL,
    visit_time               TIMESTAMP NOT NULL,
    visit_duration_ms        UBIGINT,         -- from its first activity to its last; null where there is one alone
    host                     VARCHAR,
    views                    UINTEGER NOT NULL,
    downloads                UINTEGER NOT NULL,
    uploads                  UINTEGER NOT NULL,
    entry_path               VARCHAR,
    exit_path                VARCHAR,
    referrer                 VARCHAR,
    browser                  VARCHAR,
    browser_version          VARCHAR,
    operating_system         VARCHAR,
    operating_system_version VARCHAR,
    device_kind              device_kind,
    version                  UINTEGER NOT NULL CHECK (version >= 1),
    governing                UINTEGER NOT NULL CHECK (governing >= version),
    CHECK (views + downloads + uploads >= 1)
);

-- Visitors whose views and visits have to be made anew, beside those of the loads since `derived.through`.
CREATE TABLE stale (
    visitor_id               UBIGINT,
    request_time             TIMESTAMP NOT NULL
);

CREATE TABLE derived (through UBIGINT NOT NULL);
INSERT INTO derived VALUES (0);
