-- What is left of a value at a coarser precision than the one that it was kept at. Each leaves what is coarse already.

-- The network of an address: /24 of IPv4, /48 of IPv6, in canonical form (RFC 5952).
CREATE MACRO network_of(address) AS CASE
    WHEN contains(address, '/') THEN address
    WHEN NOT contains(address, ':') THEN regexp_replace(address, '[0-9]+$', '0/24')
    ELSE regexp_replace(array_to_string((
        list_filter(string_split(split_part(address, '::', 1), ':'), lambda part: part <> '')
        || CASE WHEN contains(address, '::') THEN list_resize([]::VARCHAR[],
               8 - len(list_filter(string_split(address, ':'), lambda part: part <> '')), '0') ELSE [] END
        || list_filter(string_split(split_part(address, '::', 2), ':'), lambda part: part <> '')
    )[1:3], ':'), '(^|:)0(:0)*$', '') || '::/48'
END;

-- A referrer without its query, and its scheme and host alone; nothing of what is no plain URL.
CREATE MACRO page_of(referrer) AS
    nullif(regexp_extract(referrer, '^([a-zA-Z][a-zA-Z0-9+.-]*://[^/?#@\\\s]+(?:/[^?#]*)?)(?:[?#]|$)', 1), '');

CREATE MACRO site_of(referrer) AS
    nullif(regexp_extract(referrer, '^([a-zA-Z][a-zA-Z0-9+.-]*://[^/?#@\\\s]+)(?:[/?#]|$)', 1), '');
