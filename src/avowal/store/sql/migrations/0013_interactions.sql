-- What the script tells beside views, where the terms declare it: how a page fared, and what was done on it.
ALTER TABLE looks ADD COLUMN not_found BOOLEAN;
ALTER TABLE looks ADD COLUMN largest_paint_ms UINTEGER;
ALTER TABLE looks ADD COLUMN next_paint_ms UINTEGER;
ALTER TABLE looks ADD COLUMN layout_shift DOUBLE;
ALTER TABLE looks ADD COLUMN script_errors UINTEGER;

CREATE TABLE interactions (
    interaction_time TIMESTAMP NOT NULL,
    host             VARCHAR,
    visitor_id       UBIGINT,
    page_path        VARCHAR,                           -- where it was done
    download         VARCHAR,                           -- the path of a file
    outbound_link    VARCHAR,
    upload_bytes     UBIGINT,
    event            VARCHAR,                           -- as the page names it
    version          UINTEGER NOT NULL CHECK (version >= 1),
    governing        UINTEGER NOT NULL CHECK (governing >= version),
    load             UBIGINT NOT NULL
);

ALTER TABLE erased ADD COLUMN interactions UBIGINT DEFAULT 0;
