-- The tables of the store. Columns are named after the categories of the vocabulary; times are UTC. NULL means that the
-- terms did not admit a value, or that it is unknown. `version` is the version of the terms that a row was collected
-- under and never changes; `governing` is the version that governs it now. `load_number` is the load that a row came in.

-- Which store this is, how new it is, and what the other tables hold, as JSON; with a code that needs the folder's key.
CREATE TABLE store_seal (
    sealed                   VARCHAR NOT NULL,
    code                     BLOB NOT NULL
);

CREATE SEQUENCE load_numbers;

-- Closed lists are types of their own: they load faster than a CHECK and are as strict.
CREATE TYPE request_kind AS ENUM ('view', 'download', 'upload', 'static', 'other');
CREATE TYPE view_source AS ENUM ('both', 'script', 'log');
CREATE TYPE device_kind AS ENUM ('desktop', 'phone', 'tablet', 'tv');

-- Logs that were read, and how far.
CREATE TABLE logs (
    log_id                   VARCHAR PRIMARY KEY,
    name                     VARCHAR NOT NULL,
    format                   VARCHAR NOT NULL,
    parser_state             VARCHAR NOT NULL,
    head_bytes               UINTEGER NOT NULL CHECK (head_bytes BETWEEN 1 AND 4096),
    head_digest              VARCHAR NOT NULL,
    read_bytes               UBIGINT NOT NULL,
    read_digest              VARCHAR NOT NULL,
    lines                    BIGINT NOT NULL,
    requests                 BIGINT NOT NULL,
    late_requests            BIGINT NOT NULL,           -- of a day whose salt had been destroyed
    early_requests           BIGINT NOT NULL,           -- older than the first version of the terms
    provisional_load         UBIGINT,                   -- the load of an unfinished last line
    provisional_digest       VARCHAR,
    loaded_at                TIMESTAMP NOT NULL
);

-- Lines that were left out on purpose, counted by reason.
CREATE TABLE dropped_lines (
    log_id                   VARCHAR NOT NULL,
    load_number              UBIGINT NOT NULL,
    reason                   VARCHAR NOT NULL,
    line_count               UBIGINT NOT NULL CHECK (line_count > 0)
);

-- Where lines stand that could not be parsed, and their shape; never the line.
CREATE TABLE unparsable_lines (
    log_id                   VARCHAR NOT NULL,
    load_number              UBIGINT NOT NULL,
    offset_bytes             UBIGINT NOT NULL,
    length_bytes             UBIGINT NOT NULL,
    reason                   VARCHAR NOT NULL,
    shape                    VARCHAR NOT NULL CHECK (length(shape) <= 120)
);

-- Requests of logs.
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
    load_number              UBIGINT NOT NULL,
    record_number            UBIGINT NOT NULL
);

-- Page views as the script reports them: one row for each, whose visible time grows as the script reports more.
CREATE TABLE script_views (
    script_view_id           UBIGINT NOT NULL,
    view_time                TIMESTAMP NOT NULL,
    visible_ms               UBIGINT,                   -- visible and in focus; NULL if nothing measured it
    host                     VARCHAR,
    visitor_id               UBIGINT,
    daily_key                UBIGINT,                   -- the key of a cookie's visitor in that day's logs
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
    not_found                BOOLEAN,
    largest_contentful_paint_ms  UINTEGER,
    interaction_to_next_paint_ms UINTEGER,
    cumulative_layout_shift  DOUBLE,
    script_errors            UINTEGER,
    request_number           UBIGINT,                   -- the request of the same page view, once it is found
    version                  UINTEGER NOT NULL CHECK (version >= 1),
    governing                UINTEGER NOT NULL CHECK (governing >= version),
    load_number              UBIGINT NOT NULL,
    record_number            UBIGINT NOT NULL
);

-- What visitors did on pages, as the script reports it, if the terms declare it.
CREATE TABLE events (
    event_time               TIMESTAMP NOT NULL,
    host                     VARCHAR,
    visitor_id               UBIGINT,
    page_path                VARCHAR,                   -- the page on which it happened
    download_path            VARCHAR,
    outbound_link            VARCHAR,
    upload_bytes             UBIGINT,
    event_name               VARCHAR,                   -- as the page names it
    version                  UINTEGER NOT NULL CHECK (version >= 1),
    governing                UINTEGER NOT NULL CHECK (governing >= version),
    load_number              UBIGINT NOT NULL,
    record_number            UBIGINT NOT NULL
);

-- The last number that was given to a record of each table. A number is never given twice.
CREATE TABLE record_numbers (
    relation                 VARCHAR PRIMARY KEY,
    last_number              UBIGINT NOT NULL
);
INSERT INTO record_numbers VALUES ('requests', 0), ('script_views', 0), ('events', 0);

-- Records that changed or were deleted, until every processor that may hold them knows.
CREATE SEQUENCE change_numbers;
CREATE TABLE record_changes (
    change_number            UBIGINT NOT NULL DEFAULT nextval('change_numbers'),
    relation                 VARCHAR NOT NULL,
    record_number            UBIGINT NOT NULL
);

-- Everything that was collected, from logs and from the script.
CREATE VIEW collected_records AS
SELECT visitor_id, request_time AS record_time, ip_address, version, governing, load_number FROM requests
UNION ALL
SELECT visitor_id, view_time, ip_address, version, governing, load_number FROM script_views;

CREATE TABLE views (
    view_time                TIMESTAMP NOT NULL,
    view_duration_ms         UBIGINT,                   -- to the visit's next view; NULL for its last one
    visitor_id               UBIGINT,
    visit_time               TIMESTAMP,                 -- with visitor_id, the visit that the view belongs to
    host                     VARCHAR,
    page_path                VARCHAR,
    referrer                 VARCHAR,
    view_source              view_source NOT NULL,      -- what reported it: the log, the script, or both
    request_number           UBIGINT,                   -- the request and the script view that it was derived from
    script_view_number       UBIGINT,
    version                  UINTEGER NOT NULL CHECK (version >= 1),
    governing                UINTEGER NOT NULL CHECK (governing >= version)
);

-- Retention may delete the visitor and the counts of a visit before the visit itself.
CREATE TABLE visits (
    visitor_id               UBIGINT,
    visit_time               TIMESTAMP NOT NULL,
    visit_duration_ms        UBIGINT,                   -- from first to last activity; NULL if there is only one
    host                     VARCHAR,
    country                  VARCHAR,
    views                    UINTEGER,
    downloads                UINTEGER,
    uploads                  UINTEGER,
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

-- Visitors whose views and visits must be derived again since a time, besides those of loads after `last_load`.
CREATE TABLE stale_visitors (
    visitor_id               UBIGINT,
    since                    TIMESTAMP NOT NULL
);

-- The last load that views and visits were derived from, and the rules; NULL before the first derivation.
CREATE TABLE derivation_state (
    last_load                UBIGINT NOT NULL,
    gap_minutes              UINTEGER,
    time_zone                VARCHAR NOT NULL,          -- in which a visitor day begins, so many minutes after midnight
    day_start_minutes        BIGINT NOT NULL,
    last_retained_load       UBIGINT NOT NULL           -- retention may have reduced the records up to this load
);
INSERT INTO derivation_state VALUES (0, NULL, 'UTC', 240, 0);

-- The governing version that each visitor's consents give their records, as far as the register was read.
CREATE TABLE visitor_governing (
    visitor_id               UBIGINT PRIMARY KEY,
    governing                UINTEGER NOT NULL CHECK (governing >= 1)
);

CREATE TABLE consent_cursor (
    last_consent             UBIGINT NOT NULL,          -- the number of the register's last consent
    last_version             UINTEGER NOT NULL          -- the last version that had taken effect
);
INSERT INTO consent_cursor VALUES (0, 0);

-- What retention deleted, until the register has recorded it.
CREATE SEQUENCE retention_run_numbers;
CREATE TABLE retention_removals (
    run_number               UBIGINT NOT NULL,
    relation                 VARCHAR NOT NULL,
    category                 VARCHAR NOT NULL,
    version                  UINTEGER NOT NULL,
    record_count             UBIGINT NOT NULL CHECK (record_count > 0),
    removed_at               TIMESTAMP NOT NULL
);

-- Whether the file still holds bytes of deleted data.
CREATE TABLE compaction_state (is_due BOOLEAN NOT NULL);
INSERT INTO compaction_state VALUES (false);

-- How many records of a visitor were erased, until the register has recorded it. Written in the transaction that erases,
-- so that the counts survive a crash in between.
CREATE TABLE erased_counts (
    visitor_id               UBIGINT PRIMARY KEY,
    requests                 UBIGINT NOT NULL,
    script_views             UBIGINT NOT NULL,
    events                   UBIGINT NOT NULL,
    views                    UBIGINT NOT NULL,
    visits                   UBIGINT NOT NULL
);

-- Journals that were loaded, for as long as their files exist.
CREATE TABLE loaded_journals (journal_name VARCHAR PRIMARY KEY);

-- Results of requesting the site's own pages. They concern no visitor, so no terms govern them.
CREATE TABLE probes (
    probe_time               TIMESTAMP NOT NULL,
    page                     VARCHAR NOT NULL,
    host                     VARCHAR NOT NULL,
    state                    ENUM('up', 'slow', 'down') NOT NULL,
    interval_seconds         UINTEGER NOT NULL,
    failure_reason           VARCHAR,
    status                   USMALLINT,
    response_ms              UINTEGER,
    certificate_days         INTEGER
);

-- Macros that coarsen a value. Each leaves a value that is already coarse as it is.

-- The network of an address: /24 of IPv4, /48 of IPv6, in canonical form (RFC 5952).
CREATE MACRO ip_network(address) AS CASE
    WHEN contains(address, '/') THEN address
    WHEN NOT contains(address, ':') THEN regexp_replace(address, '[0-9]+$', '0/24')
    ELSE regexp_replace(array_to_string((
        list_filter(string_split(split_part(address, '::', 1), ':'), lambda part: part <> '')
        || CASE WHEN contains(address, '::') THEN list_resize([]::VARCHAR[],
               8 - len(list_filter(string_split(address, ':'), lambda part: part <> '')), '0') ELSE [] END
        || list_filter(string_split(split_part(address, '::', 2), ':'), lambda part: part <> '')
    )[1:3], ':'), '(^|:)0(:0)*$', '') || '::/48'
END;

-- A URL without its query, and its scheme and host alone; NULL if it is not a plain URL.
CREATE MACRO url_page(url) AS
    nullif(regexp_extract(url, '^([a-zA-Z][a-zA-Z0-9+.-]*://[^/?#@\\\s]+(?:/[^?#]*)?)(?:[?#]|$)', 1), '');

CREATE MACRO url_site(url) AS
    nullif(regexp_extract(url, '^([a-zA-Z][a-zA-Z0-9+.-]*://[^/?#@\\\s]+)(?:[/?#]|$)', 1), '');

-- The site that a report of sources shows for a referrer, without scheme and port.
CREATE MACRO referrer_site(referrer) AS
    coalesce(nullif(lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)), ''), '(none)');

-- Whether a value passes a filter of a report, which is NULL if it is not given. Patterns are globs, and a value as it is
-- shown matches itself.
CREATE MACRO value_passes(value, pattern) AS
    pattern IS NULL OR coalesce(value, 'unknown') = pattern OR value GLOB pattern;

-- The same for a referrer; its site, as the report of sources shows it, matches, too.
CREATE MACRO referrer_passes(referrer, pattern, site_hosts) AS
    pattern IS NULL OR referrer GLOB pattern OR referrer_site(referrer) = pattern
    OR (pattern = '(this site)' AND list_contains(site_hosts, referrer_site(referrer)));

-- How many visitors are behind the records that are counted; NULL if none is counted. Records without a key are of nobody.
CREATE MACRO visitors_behind(visitor_id, is_counted) AS
    CASE WHEN count(*) FILTER (is_counted) > 0 THEN count(DISTINCT visitor_id) FILTER (is_counted) END;

-- The same for a part of the records: the smaller number of those behind the part and those behind the rest.
CREATE MACRO visitors_apart(visitor_id, is_counted) AS least(
    visitors_behind(visitor_id, coalesce(is_counted, false)), visitors_behind(visitor_id, NOT coalesce(is_counted, false)));

-- The key of a visitor for one visitor day of the site: an even key is a day's already; an odd one comes from a cookie.
CREATE MACRO daily_visitor_id(visitor_id, record_time) AS CASE
    WHEN visitor_id & 1 = 1
    THEN hash(visitor_id, (
        epoch_us(timezone((SELECT time_zone FROM main.derivation_state), timezone('UTC', record_time)))
        - (SELECT day_start_minutes FROM main.derivation_state) * 60000000
    ) // 86400000000) & 18446744073709551614
    ELSE visitor_id
END;

-- The record numbers of the requests that are known to be a visitor's although they are under another key, or none: those
-- that are paired with the visitor's script views, those of the visitor's views, and all of a daily key (under one version
-- of the terms) all of whose pairs are of this one visitor with the cookie.
CREATE MACRO visitor_requests(visitor) AS TABLE
    SELECT request_number AS record_number FROM script_views
    WHERE script_views.visitor_id = visitor AND request_number IS NOT NULL
    UNION ALL
    SELECT request_number FROM views WHERE views.visitor_id = visitor AND request_number IS NOT NULL
    UNION ALL
    SELECT requests.record_number
    FROM requests JOIN (
        SELECT coalesce(daily_key, script_views.visitor_id) AS daily_key, script_views.version
        FROM script_views JOIN requests AS partners
            ON script_views.request_number = partners.record_number AND script_views.version = partners.version
        WHERE coalesce(daily_key, script_views.visitor_id) IN (SELECT own.daily_key FROM script_views AS own WHERE own.visitor_id = visitor)
        GROUP BY coalesce(daily_key, script_views.visitor_id), script_views.version
        HAVING min(script_views.visitor_id) = visitor AND max(script_views.visitor_id) = visitor
    ) AS keys ON requests.visitor_id = keys.daily_key AND requests.version = keys.version;
