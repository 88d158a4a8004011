"""`avowal serve`: collect from a running site."""

import gc
import logging
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from avowal.app.folder import find_folder
from avowal.app.requests import EnforceRetention
from avowal.app.session import Session, describe_terms_in_use, open_session
from avowal.app.verification import verify_open_folder
from avowal.cli.init import create_folder
from avowal.cli.options import DataFolderOption, create_app
from avowal.clock import utc_now
from avowal.collect.client_address import TrustedProxies
from avowal.collect.country import CountryDatabase
from avowal.collect.journal import JournalWriter
from avowal.collect.probe import Prober
from avowal.collect.probe import ProbeResult as Found
from avowal.collect.script_event import VisitorKeyFactory, parse_user_agent
from avowal.collect.visitor_key import SALTS_FILE_NAME, SaltFile
from avowal.config import FeedSettings, Folder, ProbeSettings
from avowal.disclose.delivery import deliver_feed
from avowal.errors import InvalidInputError, RefusedError, SettingsError
from avowal.ingest.line_stream import LineStream
from avowal.ingest.syslog import LineBuffer
from avowal.key_files import COOKIE_KEY_FILE, WEBHOOK_KEY_FILE, read_or_create_secret
from avowal.server.wiring import build_endpoints
from avowal.workspace.client import FolderClient
from avowal.workspace.layout import JOURNALS_FOLDER
from avowal.workspace.server import FolderServer

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn import Server

    from avowal.endpoints.event_writer import EventWriter
    from avowal.server.background import BackgroundWorker
    from avowal.server.feed_delivery import FeedDeliveryWorker
    from avowal.server.probe_rounds import ProbeWorker


GARBAGE_COLLECTION_THRESHOLDS = (50_000, 20, 100)

logger = logging.getLogger("avowal")

SHUTDOWN_TIMEOUT_SECONDS = 5
"""How long requests that are under way may take when the server is told to stop."""

app = create_app()


@app.command("serve")
def serve(
    host: Annotated[str, typer.Option(help="Where to listen; else the setting.")] = "",
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="On which port; else the setting.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="The certificate, with its chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    data: DataFolderOption = None,
) -> None:
    """Collect from a running site until the process is told to stop (SIGTERM, Ctrl-C)."""
    if (tls_cert is None) is not (tls_key is None):
        raise InvalidInputError(
            "a certificate needs its key", "give both `--tls-cert` and `--tls-key`", code="missing-input"
        )
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if find_folder(data).policy_folder is None and data is None:
        create_folder(Path.cwd())
        console.print(
            f"made `avowal.toml` and `policy/` in {Path.cwd()}: read them, they are yours", markup=False
        )
    with open_session(data, adopt_terms=True) as at_work:
        if isinstance(at_work.backend, FolderClient):
            raise RefusedError(
                f"process {at_work.backend.owner_pid} has the folder already",
                "stop it first, or use another folder with `--data`; an import or `avowal follow` may run beside "
                "a server that was there before",
                code="folder-in-use",
            )
        for sentence in describe_terms_in_use(at_work):
            console.print(sentence, markup=False)
        settings, house = at_work.folder.settings.serve, at_work.backend
        _run(
            at_work,
            house,
            (host or settings.host, settings.port if port is None else port),
            (tls_cert, tls_key),
            console,
        )
    console.print("stopped", markup=False)


def _run(
    at_work: Session,
    house: FolderServer,
    place: tuple[str, int],
    tls: tuple[Path | None, Path | None],
    console: Console,
) -> None:
    from avowal.server.application import create_application  # as all of the web: with the server only
    from avowal.server.log import configure_logging

    settings, lines = at_work.folder.settings, LineBuffer()
    visitors = _visitors(at_work.folder)
    desk, keeper = _behind(at_work, house, lines, visitors)
    rounds = _rounds(settings.probe, house)
    workers = keeper, rounds, _pusher(at_work)
    served = build_endpoints(at_work, desk, visitors, lines, lambda: _checks(desk, keeper, rounds))
    proxies = TrustedProxies.parse(settings.serve.trusted_proxies) if settings.serve.proxy_protocol else None
    configure_logging()
    server = _server(create_application(served), place, tls, proxies)
    address = f"{'https' if tls[0] else 'http'}://{place[0]}:{place[1]}/"
    console.print(f"the policy, and reports for readers who sign in: {address}", markup=False)
    console.print(f"serving {address} ; stop with Ctrl-C or SIGTERM", markup=False)
    for worker in workers:
        worker.start()
    try:
        with _garbage_left_alone():
            server.run()
    except SystemExit:  # as uvicorn ends where it cannot begin
        besides = f" or {settings.serve.syslog}" if settings.serve.syslog else ""
        raise RefusedError(
            f"nothing is served: {address}{besides} cannot be listened at",
            "choose another port with `--port`, or stop who has it",
            code="address-in-use",
        ) from None
    finally:
        for worker in reversed(workers):
            worker.close()
        desk.close()


def _server(
    app: "ASGIApp",
    place: tuple[str, int],
    tls: tuple[Path | None, Path | None],
    speaking: TrustedProxies | None,
) -> "Server":
    """Return the server, which ends well when it is told to; `speaking` are those that use the PROXY protocol."""
    import uvicorn

    from avowal.server.proxy_protocol import create_protocol_class

    if speaking and tls[0]:
        raise SettingsError(
            "`serve.proxy_protocol` and `--tls-cert` exclude each other: the one comes before any TLS",
            "let the proxy speak TLS with visitors, or take it out of the settings",
            code="conflicting-options",
        )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each visitor who is connected is a file
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn has its own, and raises them once more when it ends
    config = uvicorn.Config(
        app,
        host=place[0],
        port=place[1],
        loop="uvloop",
        http=create_protocol_class(speaking) if speaking else "httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS,
        proxy_headers=False,
        ssl_certfile=tls[0],
        ssl_keyfile=tls[1],
    )
    return uvicorn.Server(config)


@contextmanager
def _garbage_left_alone() -> Iterator[None]:
    """Keep the collector of garbage from what is there by now: to look through it makes visitors wait."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_COLLECTION_THRESHOLDS)
    try:
        yield
    finally:
        gc.unfreeze()


def _visitors(folder: Folder) -> VisitorKeyFactory:
    """Return what gives visitors their keys."""
    salts, zone = SaltFile(folder.keys_folder / SALTS_FILE_NAME), folder.time_zone
    return VisitorKeyFactory(
        salts, zone, folder.day_start, read_or_create_secret(folder.keys_folder / COOKIE_KEY_FILE)
    )


def _behind(
    at_work: Session, house: FolderServer, lines: LineBuffer, visitors: VisitorKeyFactory
) -> "tuple[EventWriter, BackgroundWorker]":
    """Return what works behind the doors: the desk that takes what is sent, and the keeper that loads it."""
    from avowal.endpoints.event_writer import EventWriter
    from avowal.server.background import BackgroundWorker, CurrentAdmission

    folder = at_work.folder
    countries = CountryDatabase.open(folder.country_database) if folder.country_database else None
    gates = CurrentAdmission(
        at_work.register.data_version, at_work.admission_rules, countries.find_country if countries else None
    )
    desk = EventWriter(gates, visitors, JournalWriter(folder.data_folder / JOURNALS_FOLDER))
    stream = LineStream(
        at_work.pipeline_factory,
        house.load_segments,
        "syslog",
        folder.settings.collect.format,
    )

    def load() -> bool:
        waiting = lines.drain()
        streamed = bool(waiting) and stream.load_lines(waiting)
        return house.pending_files.load_arrivals(desk.rotate_journal()) or streamed

    keeper = BackgroundWorker(
        load_pending=load,
        derive_views=at_work.derive_views,
        destroy_old_salts=lambda: visitors.salts.destroy_expired(utc_now()),
        run_daily_tasks=partial(_daily, at_work),
    )
    house.load_arrivals = keeper.load_and_derive
    parse_user_agent("")  # what reads user agents takes a while to load
    at_work.derive_views()  # what an earlier process took in, and did not live to make views of
    return desk, keeper


def _daily(at_work: Session) -> None:
    """Take away what may not be kept any more, and verify the folder: the policy's page says whether all held."""
    at_work.call(EnforceRetention())
    for finding in verify_open_folder(at_work).findings:
        logger.error("%s", finding.sentence)


def _rounds(settings: ProbeSettings, house: FolderServer) -> "ProbeWorker":
    """Return what asks the site's own pages."""
    from avowal.server.probe_rounds import ProbeWorker

    def keep(found: list[Found]) -> None:
        house.store.add_probes(found, utc_now() - timedelta(days=settings.keep_days))

    prober = Prober(settings.every_seconds, settings.slow_ms, settings.timeout_seconds)
    return ProbeWorker(prober, settings.pages, keep)


def _pusher(at_work: Session) -> "FeedDeliveryWorker":
    """Return what hands over the feeds of the settings."""
    from avowal.server.feed_delivery import FeedDeliveryWorker

    key = read_or_create_secret(at_work.folder.keys_folder / WEBHOOK_KEY_FILE)

    def hand_over(feed: FeedSettings) -> int:
        return len(list(deliver_feed(at_work.processor_feed, feed.processor, feed.to, key)))

    return FeedDeliveryWorker(at_work.folder.settings.feed, hand_over)


def _checks(desk: "EventWriter", keeper: "BackgroundWorker", rounds: "ProbeWorker") -> dict[str, str]:
    return {
        "journal": desk.last_error and f"cannot be written ({desk.last_error})",
        "keeper": (keeper.last_error and f"fails ({keeper.last_error})")
        or ("" if keeper.is_alive else "is not running"),
        "probes": rounds.last_error and f"cannot be kept ({rounds.last_error})",
    }
