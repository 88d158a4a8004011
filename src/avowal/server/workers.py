"""The background workers of a server over a data folder."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from avowal.app.owner_requests import CompactStore, EnforceRetention
from avowal.app.session import Session
from avowal.app.shared_address import FindSharedAddressDay, describe_shared_address
from avowal.app.verification import verify_open_folder
from avowal.clock import utc_now
from avowal.collect.country import CountryDatabase
from avowal.collect.device import parse_user_agent
from avowal.collect.journal import JournalWriter
from avowal.collect.probe import Prober, ProbeResult
from avowal.collect.script_event import VisitorKeyFactory
from avowal.collect.visitor_key import SALTS_FILE_NAME, SaltFile
from avowal.config import FeedSettings, Folder, ProbeSettings
from avowal.disclose.delivery import deliver_feed
from avowal.endpoints.event_writer import EventWriter
from avowal.ingest.line_stream import LineStream
from avowal.ingest.syslog import LineBuffer
from avowal.key_files import COOKIE_KEY_FILE, WEBHOOK_KEY_FILE, read_or_create_secret
from avowal.server.background import BackgroundWorker
from avowal.server.current_admission import CurrentAdmission
from avowal.server.feed_delivery import FeedDeliveryWorker
from avowal.server.probe_rounds import ProbeWorker
from avowal.workspace.layout import JOURNALS_FOLDER
from avowal.workspace.server import FolderServer

logger = logging.getLogger("avowal")


@dataclass(frozen=True)
class Workers:
    """What works besides the event loop of a server."""

    event_writer: EventWriter
    background: BackgroundWorker
    probes: ProbeWorker
    feed_delivery: FeedDeliveryWorker

    def start(self) -> None:
        """Start the threads."""
        self.background.thread.start()
        self.probes.thread.start()
        self.feed_delivery.thread.start()

    def stop(self) -> None:
        """Stop the threads, load what was received, and close the journal."""
        self.feed_delivery.thread.stop()
        self.probes.thread.stop()
        self.background.stop()
        self.event_writer.close()

    def check_health(self) -> dict[str, str]:
        """Return, for each worker that stores something, why it fails; empty if it works."""
        writer_error, probe_error = self.event_writer.last_error, self.probes.last_error
        background_error = self.background.last_error
        if background_error:
            background = f"fails ({background_error})"
        else:
            background = "" if self.background.thread.is_alive else "is not running"
        return {
            "journal": writer_error and f"cannot be written ({writer_error})",
            "background": background,
            "probes": probe_error and f"cannot be stored ({probe_error})",
        }


def build_workers(
    session: Session, backend: FolderServer, line_queue: LineBuffer, visitor_keys: VisitorKeyFactory
) -> Workers:
    """Return the workers of a folder, not started yet. `line_queue` holds lines received by syslog."""
    event_writer = _build_event_writer(session, visitor_keys)
    background = _build_background_worker(session, backend, line_queue, event_writer)
    backend.load_arrivals = background.load_and_derive
    parse_user_agent("")  # loading the parser takes a while
    session.derive_views()  # what an earlier process loaded, and did not live to derive
    return Workers(
        event_writer,
        background,
        _build_probe_worker(session.folder.settings.probe, backend),
        _build_feed_delivery(session),
    )


def build_visitor_keys(folder: Folder) -> VisitorKeyFactory:
    """Return what derives the keys of visitors from their requests."""
    return VisitorKeyFactory(
        SaltFile(folder.keys_folder / SALTS_FILE_NAME),
        folder.time_zone,
        folder.day_start,
        read_or_create_secret(folder.keys_folder / COOKIE_KEY_FILE),
    )


def _build_event_writer(session: Session, visitor_keys: VisitorKeyFactory) -> EventWriter:
    folder = session.folder
    countries = CountryDatabase.open(folder.country_database) if folder.country_database else None
    current_admission = CurrentAdmission(
        session.register.data_version, session.admission_rules, countries.find_country if countries else None
    )
    journal_writer = JournalWriter(folder.data_folder / JOURNALS_FOLDER, session.register.stores.note_journal)
    return EventWriter(current_admission, visitor_keys, journal_writer)


def _build_background_worker(
    session: Session, backend: FolderServer, line_queue: LineBuffer, event_writer: EventWriter
) -> BackgroundWorker:
    salts = SaltFile(session.folder.keys_folder / SALTS_FILE_NAME)
    stream = LineStream(
        session.pipeline_factory,
        backend.load_segments,
        "syslog",
        session.folder.settings.collect.log_format,
    )

    def load_pending() -> bool:
        lines = line_queue.drain()
        has_streamed = bool(lines) and stream.load_lines(lines)
        return backend.pending_files.load_arrivals(event_writer.rotate_journal()) or has_streamed

    def run_daily_tasks() -> None:
        """Enforce retention, and verify the folder: the policy's page says whether it is valid."""
        session.call(EnforceRetention())
        for finding in verify_open_folder(session).findings:
            logger.error("%s", finding.sentence)

    def find_warnings() -> list[str]:
        day = session.call(FindSharedAddressDay())
        return [describe_shared_address(day)] if day else []

    return BackgroundWorker(
        load_pending=load_pending,
        derive_views=session.derive_views,
        destroy_old_salts=lambda: salts.destroy_expired(utc_now()),
        find_warnings=find_warnings,
        run_daily_tasks=run_daily_tasks,
        compact=lambda: session.call(CompactStore()),
    )


def _build_probe_worker(settings: ProbeSettings, backend: FolderServer) -> ProbeWorker:
    def store_probes(results: list[ProbeResult]) -> None:
        backend.store.add_probes(results, utc_now() - timedelta(days=settings.retention_days))

    prober = Prober(settings.interval_seconds, settings.slow_ms, settings.timeout_seconds)
    return ProbeWorker(prober, settings.urls, store_probes)


def _build_feed_delivery(session: Session) -> FeedDeliveryWorker:
    key = read_or_create_secret(session.folder.keys_folder / WEBHOOK_KEY_FILE)

    def deliver(feed: FeedSettings) -> int:
        return len(list(deliver_feed(session.processor_feed, feed.processor, feed.destination, key)))

    return FeedDeliveryWorker(session.folder.settings.feeds, deliver)
