"""`avowal serve`: collect from a running site."""

import gc
import logging
import resource
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from avowal.app.session import Session, about_terms, find_folder, session
from avowal.cli.init import write_folder
from avowal.clock import utc_now
from avowal.collect.client_address import Proxies
from avowal.collect.country import Countries
from avowal.collect.journal import Writer
from avowal.collect.probe import Probe as Found
from avowal.collect.probe import Prober
from avowal.collect.script_event import Visitors, device
from avowal.collect.visitor_key import SALTS, Salts
from avowal.config import Feed, Folder, Probe
from avowal.disclose.delivery import push
from avowal.errors import MisuseError, RefusedError, SettingsError
from avowal.ingest.importer import Ways
from avowal.ingest.line_stream import Stream
from avowal.ingest.syslog import Lines
from avowal.key_files import COOKIE_KEY, HOOK_KEY, secret
from avowal.server.wiring import doors
from avowal.workspace.server import JOURNALS, Guest, Owner

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn import Server

    from avowal.endpoints.event_writer import Desk
    from avowal.server.background import Keeper
    from avowal.server.feed_delivery import Pusher
    from avowal.server.probe_rounds import Rounds

GC_THRESHOLDS = (50_000, 20, 100)
log = logging.getLogger("avowal")

GRACE_SECONDS = 5
"""How long requests that are under way may take when the server is told to stop."""


def serve(
    host: Annotated[str, typer.Option(help="Where to listen; else the setting.")] = "",
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="On which port; else the setting.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="The certificate, with its chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    data: Annotated[Path | None, typer.Option(help="The data folder.")] = None,
) -> None:
    """Collect from a running site until the process is told to stop (SIGTERM, Ctrl-C)."""
    if (tls_cert is None) is not (tls_key is None):
        raise MisuseError("a certificate needs its key", "give both `--tls-cert` and `--tls-key`")
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if find_folder(data).policy is None and data is None:
        write_folder(Path.cwd())
        console.print(
            f"made `avowal.toml` and `policy/` in {Path.cwd()}: read them, they are yours", markup=False
        )
    with session(data, collecting=True) as at_work:
        if isinstance(at_work.house, Guest):
            raise RefusedError(
                f"process {at_work.house.owner_pid} has the folder already",
                "stop it first, or use another folder with `--data`; an import or `avowal follow` may run beside "
                "a server that was there before",
            )
        for sentence in about_terms(at_work):
            console.print(sentence, markup=False)
        settings, house = at_work.folder.settings.serve, at_work.house
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
    house: Owner,
    place: tuple[str, int],
    tls: tuple[Path | None, Path | None],
    console: Console,
) -> None:
    from avowal.server.application import application  # as all of the web: with the server only
    from avowal.server.log import configure

    settings, lines = at_work.folder.settings, Lines()
    visitors = _visitors(at_work.folder)
    desk, keeper = _behind(at_work, house, lines, visitors)
    rounds = _rounds(settings.probe, house)
    workers = keeper, rounds, _pusher(at_work)
    served = doors(at_work, desk, visitors, lines, lambda: _checks(desk, keeper, rounds))
    proxies = Proxies.of(settings.serve.trusted_proxies) if settings.serve.proxy_protocol else None
    configure()
    server = _server(application(served), place, tls, proxies)
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
        ) from None
    finally:
        for worker in reversed(workers):
            worker.close()
        desk.close()


def _server(
    app: "ASGIApp",
    place: tuple[str, int],
    tls: tuple[Path | None, Path | None],
    speaking: Proxies | None,
) -> "Server":
    """Return the server, which ends well when it is told to; `speaking` are those that use the PROXY protocol."""
    import uvicorn

    from avowal.server.proxy_protocol import protocol

    if speaking and tls[0]:
        raise SettingsError(
            "`serve.proxy_protocol` and `--tls-cert` exclude each other: the one comes before any TLS",
            "let the proxy speak TLS with visitors, or take it out of the settings",
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
        http=protocol(speaking) if speaking else "httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
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
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.unfreeze()


def _visitors(folder: Folder) -> Visitors:
    """Return what gives visitors their keys."""
    salts, zone = Salts(folder.keys / SALTS), folder.zone
    return Visitors(salts, zone, folder.day_turns_at, secret(folder.keys / COOKIE_KEY))


def _behind(at_work: Session, house: Owner, lines: Lines, visitors: Visitors) -> "tuple[Desk, Keeper]":
    """Return what works behind the doors: the desk that takes what is sent, and the keeper that loads it."""
    from avowal.endpoints.event_writer import Desk
    from avowal.server.background import Gates, Keeper

    folder = at_work.folder
    countries = Countries.read(folder.country_database) if folder.country_database else None
    gates = Gates(at_work.register.stamp, at_work.promises, countries.country if countries else None)
    desk = Desk(gates, visitors, Writer(folder.data / JOURNALS))
    stream = Stream(Ways(folder, at_work.promises), house.load, "syslog", folder.settings.collect.format)

    def load() -> bool:
        waiting = lines.take()
        streamed = bool(waiting) and stream.load(waiting)
        return house.take_in(desk.turn()) or streamed

    keeper = Keeper(
        load=load,
        derive=at_work.derive,
        sweep=lambda: visitors.salts.destroy_old(utc_now()),
        daily=partial(_daily, at_work),
    )
    house.refresh = keeper.round
    device("")  # what reads user agents takes a while to load
    at_work.derive()  # what an earlier process took in, and did not live to make views of
    return desk, keeper


def _daily(at_work: Session) -> None:
    """Take away what may not be kept any more, and verify the folder: the policy's page says whether all held."""
    at_work.retain()
    for sentence in at_work.prove(Counter(), []):
        log.error("%s", sentence)


def _rounds(settings: Probe, house: Owner) -> "Rounds":
    """Return what asks the site's own pages."""
    from avowal.server.probe_rounds import Rounds

    def keep(found: list[Found]) -> None:
        house.store.add_probes(found, utc_now() - timedelta(days=settings.keep_days))

    prober = Prober(settings.every_seconds, settings.slow_ms, settings.timeout_seconds)
    return Rounds(prober, settings.pages, keep)


def _pusher(at_work: Session) -> "Pusher":
    """Return what hands over the feeds of the settings."""
    from avowal.server.feed_delivery import Pusher

    key = secret(at_work.folder.keys / HOOK_KEY)

    def hand_over(feed: Feed) -> int:
        return len(list(push(at_work.feeding, feed.processor, feed.to, key)))

    return Pusher(at_work.folder.settings.feed, hand_over)


def _checks(desk: "Desk", keeper: "Keeper", rounds: "Rounds") -> dict[str, str]:
    return {
        "journal": desk.failing and f"cannot be written ({desk.failing})",
        "keeper": (keeper.failing and f"fails ({keeper.failing})")
        or ("" if keeper.alive else "is not running"),
        "probes": rounds.failing and f"cannot be kept ({rounds.failing})",
    }
