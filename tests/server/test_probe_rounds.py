"""Probes of a real page that stops and returns."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from support.running_server import SETTINGS, free_port, start_server
from support.site import Site, wait_until


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with a page."""
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"there")

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def test_an_outage_is_recorded_with_start_and_end(tmp_path: Path) -> None:
    """`report availability` shows an outage while the server runs; metrics and `/readyz` show the probe."""
    port = free_port()
    page = f"http://127.0.0.1:{port}/"
    probing = f'[probe]\nurls = ["{page}"]\ninterval_seconds = 1\ntimeout_seconds = 1\n'
    site = Site(tmp_path).init(settings=SETTINGS + probing)

    def run_page(*, until: str) -> None:
        page_server = HTTPServer(("127.0.0.1", port), _Page)
        Thread(target=page_server.serve_forever, args=(0.01,), daemon=True).start()
        wait_until(lambda: state() == until, until)
        page_server.shutdown()
        page_server.server_close()

    def tables() -> dict[str, Any]:
        return site.report("availability")["tables"]  # type: ignore[no-any-return]

    def state() -> str:
        probes = tables()["availability_probes"]
        return probes[0]["last_state"] if probes else ""

    with start_server(site) as server:
        run_page(until="up")
        wait_until(lambda: state() == "down", "down")
        run_page(until="up")
        outage = tables()["availability_outages"][-1]
        assert outage["failure_reason"] == "no-connection"
        assert outage["started_at"] < outage["ended_at"]
        assert outage["outage_duration_ms"] >= 900
        metrics = server.request("GET", "/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).body.decode()
        assert f'avowal_probe_success{{page="{page}"}}' in metrics
        assert server.request("GET", "/readyz").json()["checks"]["probes"] == "ok"
    assert json.loads(site.avowal("report", "availability", "--json").out)["tables"]["availability_outages"]


def test_probes_are_off_without_pages(tmp_path: Path) -> None:
    """Without a page in the settings nothing is probed."""
    site = Site(tmp_path).init(settings=SETTINGS)
    with start_server(site):
        assert site.report("availability")["tables"]["availability_probes"] == []
