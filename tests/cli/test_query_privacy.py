"""No query reaches the disk where the terms do not declare it: pasted formats and events. `test_formats.py` has the others."""

from pathlib import Path

import pytest

from avowal.collect.event_details import EventDetails, admit_details
from avowal.collect.script_event import parse_page_url
from support.planted_queries import PLANTED, YESTERDAY, check_queries_are_not_stored
from support.site import Site

PASTED = {
    '$remote_addr [$time_iso8601] "$uri" $status "$http_user_agent"': '192.0.2.1 [{iso}] "{path}" 200 "Firefox/1"',
    '$remote_addr [$time_iso8601] "$request_method $document_uri" $status': '192.0.2.1 [{iso}] "GET {path}" 200',
    '$remote_addr [$time_iso8601] "$request_uri" $status': '192.0.2.1 [{iso}] "{path}" 200',
    '%h %t "%m %U" %>s': '192.0.2.1 [{clf}] "GET {path}" 200',
    '{"a":"$remote_addr","t":"$time_iso8601","u":"$uri","s":"$status"}': '{{"a":"192.0.2.1","t":"{iso}","u":"{path}","s":"200"}}',
}  # fmt: skip
"""Pasted formats that have a path of its own, each with a line."""


@pytest.mark.parametrize(("pasted", "text"), PASTED.items())
def test_no_query_of_a_pasted_format_is_stored(tmp_path: Path, pasted: str, text: str) -> None:
    """A variable for the path may hold a query in a log."""
    iso, clf = f"{YESTERDAY:%Y-%m-%dT%H:%M:%S+00:00}", f"{YESTERDAY:%d/%b/%Y:%H:%M:%S +0000}"
    lines = [text.format(iso=iso, clf=clf, path=path) for path in PLANTED]
    (tmp_path / "site").mkdir()
    check_queries_are_not_stored(Site(tmp_path / "site").init(), pasted, lines)


@pytest.mark.parametrize("path", PLANTED)
def test_no_query_of_an_event_is_part_of_a_path(path: str) -> None:
    """The path of a page and of a download ends before the query and the fragment."""
    _, page, _ = parse_page_url(f"https://site.example{path}")
    download = EventDetails(
        download=f"https://site.example{path}", outbound_link=f"https://other.example{path}"
    )
    permitted = {("download", "full"), ("outbound-link", "page"), ("outbound-link", "site")}
    values = admit_details(download, permitted)
    assert (page, values["download_path"], values["outbound_link"]) == ("/a", "/a", "https://other.example/a")


def test_an_encoded_question_mark_is_part_of_a_path() -> None:
    """It is a character of a name, as RFC 3986 has it."""
    assert parse_page_url("https://site.example/what%3f?a=1")[1] == "/what%3F"
