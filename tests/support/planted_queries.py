"""Queries planted in log lines, and the search for them in every file of a site."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from support.site import Site, read_store

SECRET = "s3cr3t7e1"  # noqa: S105  # of nobody
PLANTED = (f"/a?{SECRET}=1", f"/a#{SECRET}", f"/a?{SECRET}#{SECRET}", f"/a?x=%3F{SECRET}")
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def plant_queries(text: str) -> list[str]:
    """Return an example of a format with each planted path, in the place of `/a?b=1` or of `/a` alone, as of yesterday."""
    head, newline, last = text.rpartition("\n")
    last = last.replace("2026-01-02", f"{YESTERDAY:%Y-%m-%d}").replace("02/Jan/2026", f"{YESTERDAY:%d/%b/%Y}")
    pattern = r"(?<=[ /\t\"0-9g|])/a(?:\?b=1)?(?=[ \t\",|]|$)"
    return [head + newline + re.sub(pattern, path, last) for path in PLANTED]


def check_queries_are_not_stored(site: Site, log_format: str, lines: Sequence[str]) -> None:
    """Import lines with planted queries, and look for these in the store and in every file."""
    assert any(SECRET in text for text in lines)
    log = site.folder.parent / "planted.log"
    log.write_text("\n".join(lines) + "\n")
    report = site.import_logs(log, "--format", log_format)
    assert report["counts"]["requests"]
    assert SECRET not in str(read_store(site))
    for path in site.folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
