"""Runs a server over an open data folder until the process is told to stop."""

from collections.abc import Callable

from avowal.app.session import Session
from avowal.errors import RefusedError
from avowal.ingest.syslog import LineBuffer
from avowal.server.application import create_application
from avowal.server.base_path_mount import mount
from avowal.server.http_server import ListenAddress, create_http_server, reduced_garbage_collection
from avowal.server.log import configure_logging
from avowal.server.wiring import build_endpoints
from avowal.server.workers import build_visitor_keys, build_workers
from avowal.workspace.server import FolderServer


def run_server(
    session: Session, backend: FolderServer, address: ListenAddress, announce: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is called with what to tell the operator at the start.

    Raises RefusedError if the server cannot listen, and SettingsError if its settings contradict each other.
    """
    settings, line_queue = session.folder.settings.serve, LineBuffer()
    visitor_keys = build_visitor_keys(session.folder)
    workers = build_workers(session, backend, line_queue, visitor_keys)
    endpoints = build_endpoints(
        session,
        workers.event_writer,
        visitor_keys,
        line_queue,
        workers.check_health,
        lambda: workers.background.warnings,
    )
    configure_logging()
    application = mount(create_application(endpoints), settings.base_path)
    server = create_http_server(
        application, address, endpoints.collect.proxies, proxy_protocol=settings.proxy_protocol
    )
    home_url = f"{address.url.rstrip('/')}{settings.base_path}/"
    announce(f"the policy, and reports for readers who sign in: {home_url}")
    announce(f"serving {home_url} ; stop with Ctrl-C or SIGTERM")
    workers.start()
    try:
        with reduced_garbage_collection():
            server.run()
    except SystemExit:  # uvicorn exits if it cannot listen
        syslog = f" or {settings.syslog_address}" if settings.syslog_address else ""
        raise RefusedError(
            f"the server cannot listen at {address.url}{syslog}",
            "choose another port with `--port`, or stop the process that uses it",
            code="address-in-use",
        ) from None
    finally:
        workers.stop()
