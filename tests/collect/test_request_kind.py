"""The kinds of requests."""

import polars as pl
import pytest

from avowal.collect.request_kind import RequestKindRules
from avowal.config import CollectSettings


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/", 200, "view"),
        ("GET", "/articles/42", 200, "view"),
        ("GET", "/page.html", 304, "view"),
        ("GET", "/page.php", 404, "other"),
        ("GET", "/old", 301, "other"),
        ("POST", "/contact", 200, "other"),
        ("HEAD", "/", 200, "other"),
        ("GET", "/style.CSS", 200, "static"),
        ("GET", "/gone.png", 404, "static"),
        ("GET", "/robots.txt", 200, "static"),
        ("GET", "/report.pdf", 200, "download"),
        ("GET", "/report.pdf", 206, "download"),
        ("GET", "/report.pdf", 404, "other"),
        ("PUT", "/inbox/a.pdf", 201, "upload"),
        ("POST", "/inbox/a", 302, "upload"),
        ("POST", "/inbox/a", 500, "other"),
        ("GET", "/image/7/thumb", 200, "static"),
        ("GET", "/v1.2/page", 200, "view"),
        (None, None, 400, "other"),
        ("GET", None, 200, "other"),
        ("CONNECT", None, 200, "other"),
    ],
)
def test_requests_are_classified(method: str | None, path: str | None, status: int, expected: str) -> None:
    """Views, downloads, uploads and static files are classified by method, path and status."""
    rules = RequestKindRules(CollectSettings(static_paths=("/image/*",), upload_paths=("/inbox/*",)))
    schema = {"method": pl.String, "path": pl.String, "status": pl.UInt16}
    frame = pl.DataFrame([(method, path, status)], schema=schema, orient="row")
    assert rules.classify_requests(frame).to_list() == [expected]
