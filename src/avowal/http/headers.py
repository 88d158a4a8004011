"""Response headers that several routes send."""

_CONTENT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)

PAGE_HEADERS = {
    "Content-Security-Policy": _CONTENT_POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
SCRIPT_PAGE_HEADERS = {
    **PAGE_HEADERS,
    "Content-Security-Policy": f"{_CONTENT_POLICY}; script-src 'self'; connect-src 'self'",
}
"""Headers of a page that loads a script from this server."""

PRIVATE_HEADERS = {**PAGE_HEADERS, "Cache-Control": "private, no-store"}
"""Headers of responses that are for one person or program only."""

PAGE_SCRIPT_HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
"""Headers of a script that a page of this server loads."""

IMMUTABLE_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable"}
NEGOTIATED_HEADERS = {"Cache-Control": "no-cache", "Vary": "Accept-Language"}
PUBLIC_DATA_HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache", **PAGE_HEADERS}
"""Headers of data that pages of any origin may read."""
