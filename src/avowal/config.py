"""The settings of one folder, `avowal.toml`: parsed once, checked, and passed as an argument."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from avowal import strict
from avowal.errors import SettingsError

SETTINGS_FILE = "avowal.toml"

STATIC_EXTENSIONS = (
    "avif bmp css cur eot gif ico jpeg jpg js json jxl map mjs otf png rss svg swf tif tiff ttf txt wasm "
    "webmanifest webp woff woff2 xml atom"
)
DOWNLOAD_EXTENSIONS = (
    "7z aac apk avi bin bz2 csv deb dmg doc docx epub exe flac gz img ipa iso jar m4a m4v mkv mobi mov mp3 mp4 "
    "mpg msi odp ods odt ogg ogv pdf pkg ppt pptx rar rpm rtf tar tbz tgz tsv wav webm whl wma wmv xls xlsx xz "
    "zip zst"
)


VIEW_SOURCE_SCRIPT, VIEW_SOURCE_LOG = "script", "log"


class SiteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the site is, as its logs do not always tell it."""

    host: str = ""
    hosts: tuple[str, ...] = ()
    timezone: str = "UTC"
    day_turns_at: str = "04:00"


class CollectSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How requests are read and told apart."""

    format: str = "auto"
    visit_gap_minutes: int = 30
    static: tuple[str, ...] = tuple(STATIC_EXTENSIONS.split())
    static_paths: tuple[str, ...] = ()
    downloads: tuple[str, ...] = tuple(DOWNLOAD_EXTENSIONS.split())
    upload_paths: tuple[str, ...] = ()
    country_database: str = ""
    views_from: str = "script"


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the store may use of the machine."""

    memory_limit: str = "512MB"


class QuerySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much one question may ask for."""

    query_seconds: int = 30
    query_rows: int = 10_000


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How `avowal serve` is reached, and what it takes."""

    host: str = "127.0.0.1"
    port: int = 8080
    sites: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    proxy_protocol: bool = False
    beacons_per_minute: int = 600
    submissions_per_minute: int = 10
    syslog: str = ""


class ProbeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which pages `avowal serve` asks by itself, and when they are slow or down."""

    pages: tuple[str, ...] = ()
    every_seconds: int = 60
    slow_ms: int = 2_000
    timeout_seconds: int = 10
    keep_days: int = 400


class MailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes e-mail from us."""

    server: str = ""


class FeedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To where `avowal serve` hands a processor what came since."""

    processor: str
    to: str
    every_seconds: int = 60


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that `avowal.toml` may say; each key has its heading in `docs/reference.md`."""

    data: str = "data"
    keys: str = "keys"
    policy: str = "policy"
    site: SiteSettings = SiteSettings()
    collect: CollectSettings = CollectSettings()
    keep: StoreSettings = StoreSettings()
    use: QuerySettings = QuerySettings()
    serve: ServerSettings = ServerSettings()
    probe: ProbeSettings = ProbeSettings()
    mail: MailSettings = MailSettings()
    feed: tuple[FeedSettings, ...] = ()


@dataclass(frozen=True)
class Folder:
    """One folder: its settings, and where its parts are."""

    settings: Settings
    data_folder: Path
    keys_folder: Path
    policy_folder: Path | None
    """None where no folder was made yet: the terms that come with Avowal hold."""

    country_database: Path | None = None
    """None where there is none."""

    @property
    def time_zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.settings.site.timezone)

    @property
    def day_start(self) -> time:
        """When an event-day begins, in the site's time zone."""
        return time.fromisoformat(self.settings.site.day_turns_at)


def locate_folder(start: Path, data_folder: Path | None, environment: Mapping[str, str]) -> Folder:
    """Find the folder at or above `start`, and read its settings.

    `data` goes before `AVOWAL_DATA`, and that before the `data` of `avowal.toml`. The keys of `avowal.toml` belong to
    its data; those of another data folder lie beside it, as `DATA.keys`. Without an `avowal.toml`, the default
    settings and terms hold.

    Raises SettingsError where a setting does not check.
    """
    home = next((place for place in (start, *start.parents) if (place / SETTINGS_FILE).is_file()), None)
    chosen = data_folder or (Path(environment["AVOWAL_DATA"]) if environment.get("AVOWAL_DATA") else None)
    settings = read_settings(home / SETTINGS_FILE) if home else Settings()
    own = (home / settings.data).absolute() if home else None
    data_folder = (chosen or own or start / "data").absolute()
    keys = (
        (home / settings.keys).absolute()
        if home and data_folder == own
        else data_folder.with_name(f"{data_folder.name}.keys")
    )
    if home is None:
        return Folder(settings, data_folder, keys, None)
    named = settings.collect.country_database
    countries = (home / named).absolute() if named else None
    return Folder(settings, data_folder, keys, (home / settings.policy).absolute(), countries)


def read_settings(path: Path) -> Settings:
    """Read `avowal.toml`, and check what its types alone cannot say."""
    settings = strict.load_toml(path, Settings, SettingsError)
    _check(path, "site.timezone", settings.site.timezone, _is_zone, "use a name such as `Europe/Berlin`")
    _check(path, "site.day_turns_at", settings.site.day_turns_at, _is_time, "use hours and minutes: `04:00`")
    _check(
        path, "keep.memory_limit", settings.keep.memory_limit, _is_size, "use a size such as `512MB` or `4GB`"
    )
    _check(
        path,
        "collect.views_from",
        settings.collect.views_from,
        {VIEW_SOURCE_SCRIPT, VIEW_SOURCE_LOG}.__contains__,
        f"use `{VIEW_SOURCE_SCRIPT}` or `{VIEW_SOURCE_LOG}`",
    )
    if not 1 <= settings.collect.visit_gap_minutes <= MAX_VISIT_GAP_MINUTES:
        raise SettingsError(
            f"{path}: `collect.visit_gap_minutes` is `{settings.collect.visit_gap_minutes}`",
            f"use 1 to {MAX_VISIT_GAP_MINUTES} minutes; 30 is the custom",
        )
    for origin in settings.serve.sites:
        _check(path, "serve.sites", origin, _is_origin, "use origins such as `https://example.org`")
    _check(
        path, "serve.syslog", settings.serve.syslog, _is_place, "use an address and a port: `127.0.0.1:5140`"
    )
    _check(path, "mail.server", settings.mail.server, _is_server, "use a name and a port: `127.0.0.1:25`")
    for network in settings.serve.trusted_proxies:
        _check(path, "serve.trusted_proxies", network, _is_network, "use networks such as `10.0.0.0/8`")
    for page in settings.probe.pages:
        _check(path, "probe.pages", page, _is_page, "use pages such as `https://example.org/`")
    for key, value in (
        ("use.query_seconds", settings.use.query_seconds),
        ("use.query_rows", settings.use.query_rows),
        ("probe.every_seconds", settings.probe.every_seconds),
        ("probe.slow_ms", settings.probe.slow_ms),
        ("probe.timeout_seconds", settings.probe.timeout_seconds),
        ("probe.keep_days", settings.probe.keep_days),
        *(("feed.every_seconds", feed.every_seconds) for feed in settings.feed),
    ):
        if value < 1:
            raise SettingsError(f"{path}: `{key}` is `{value}`", "use a number from 1 on")
    if settings.probe.timeout_seconds > settings.probe.every_seconds:
        raise SettingsError(
            f"{path}: `probe.timeout_seconds` is longer than `probe.every_seconds`",
            "wait for an answer for no longer than until the next probe",
        )
    return settings


MAX_VISIT_GAP_MINUTES = 24 * 60
"""A visit ends with its event-day in any case."""


def _check(path: Path, key: str, value: str, holds: Callable[[str], bool], hint: str) -> None:
    if not holds(value):
        raise SettingsError(f"{path}: `{key}` is `{value}`", hint)


def _is_zone(value: str) -> bool:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _is_time(value: str) -> bool:
    return bool(re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value))


def _is_size(value: str) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d+)?\s?(MB|GB|MiB|GiB)", value))


def _is_origin(value: str) -> bool:
    return bool(re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?", value))


def _is_page(value: str) -> bool:
    return bool(re.fullmatch(r"https?://[a-z0-9.-]+(:\d{1,5})?(/[!-~]*)?", value))


def _is_network(value: str) -> bool:
    try:
        ip_network(value)
    except ValueError:
        return False
    return True


def _is_server(value: str) -> bool:
    return not value or bool(re.fullmatch(r"([a-z0-9.-]+|\[[0-9a-f:]+\]):\d{1,5}", value))


def _is_place(value: str) -> bool:
    return not value or bool(re.fullmatch(r"(\d+\.){3}\d+:\d{1,5}|\[[0-9a-f:]+\]:\d{1,5}", value))
