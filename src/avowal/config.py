"""The settings of one folder, `avowal.toml`: parsed once, checked, and passed as an argument."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from avowal import strict
from avowal.errors import SettingsError
from avowal.url_parts import normalise_path, parse_host_name

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


class SiteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The site: its names, and how its days are counted."""

    host: str = ""
    other_hosts: tuple[str, ...] = ()
    timezone: str = "UTC"
    day_start: str = "04:00"


class CollectSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How logs are read, and requests classified."""

    log_format: str = "auto"
    visit_gap_minutes: int = 30
    static_extensions: tuple[str, ...] = tuple(STATIC_EXTENSIONS.split())
    static_paths: tuple[str, ...] = ()
    download_extensions: tuple[str, ...] = tuple(DOWNLOAD_EXTENSIONS.split())
    upload_paths: tuple[str, ...] = ()
    country_database: str = ""


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The resources that the store may use."""

    memory_limit: str = "512MB"


class QuerySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one query."""

    timeout_seconds: int = 30
    max_rows: int = 10_000
    memory_limit: str = "1GB"


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where `avowal serve` listens, and whose data it accepts."""

    host: str = "127.0.0.1"
    port: int = 8080
    base_path: str = ""
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    client_address_header: str = "X-Forwarded-For"
    proxy_protocol: bool = False
    events_per_minute: int = 600
    submissions_per_minute: int = 10
    syslog_address: str = ""


class ProbeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which pages `avowal serve` requests by itself, and when they count as slow or down."""

    urls: tuple[str, ...] = ()
    interval_seconds: int = 60
    slow_ms: int = 2_000
    timeout_seconds: int = 10
    retention_days: int = 400


class MailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How messages are sent."""

    smtp_server: str = ""


class FeedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where `avowal serve` delivers the feed of a processor, and how often."""

    processor: str
    destination: str
    interval_seconds: int = 60


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of `avowal.toml`; `docs/reference.md` has a heading for each."""

    data_folder: str = "data"
    keys_folder: str = "keys"
    policy_folder: str = "policy"
    site: SiteSettings = SiteSettings()
    collect: CollectSettings = CollectSettings()
    store: StoreSettings = StoreSettings()
    query: QuerySettings = QuerySettings()
    serve: ServerSettings = ServerSettings()
    probe: ProbeSettings = ProbeSettings()
    mail: MailSettings = MailSettings()
    feeds: tuple[FeedSettings, ...] = msgspec.field(default=(), name="feed")


@dataclass(frozen=True)
class Folder:
    """A folder: its settings, and the paths of its parts."""

    settings: Settings
    data_folder: Path
    keys_folder: Path
    policy_folder: Path | None
    """None without an `avowal.toml`: the default terms apply."""

    country_database: Path | None = None
    """None if no database is set."""

    @property
    def time_zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.settings.site.timezone)

    @property
    def day_start(self) -> time:
        """When a visitor day begins, in the site's time zone."""
        return time.fromisoformat(self.settings.site.day_start)


def locate_folder(start: Path, data_folder: Path | None, environment: Mapping[str, str]) -> Folder:
    """Find the folder at or above `start`, and read its settings.

    `data_folder` has precedence over the variable `AVOWAL_DATA`, and that over the setting. The setting `keys_folder`
    belongs to the data folder of the settings; the keys of another data folder are beside it, in `DATA.keys`. Without
    an `avowal.toml`, the default settings and terms apply.

    Raises SettingsError if a setting is not valid.
    """
    home = next((folder for folder in (start, *start.parents) if (folder / SETTINGS_FILE).is_file()), None)
    settings = read_settings(home / SETTINGS_FILE) if home else Settings()
    requested = data_folder or (Path(environment["AVOWAL_DATA"]) if environment.get("AVOWAL_DATA") else None)
    configured = (home / settings.data_folder).absolute() if home else None
    data_folder = (requested or configured or start / "data").absolute()
    if home is None or data_folder != configured:
        keys_folder = data_folder.with_name(f"{data_folder.name}.keys")
    else:
        keys_folder = (home / settings.keys_folder).absolute()
    if home is None:
        return Folder(settings, data_folder, keys_folder, None)
    database = settings.collect.country_database
    country_database = (home / database).absolute() if database else None
    policy_folder = (home / settings.policy_folder).absolute()
    return Folder(settings, data_folder, keys_folder, policy_folder, country_database)


MAX_VISIT_GAP_MINUTES = 24 * 60
"""A visit always ends with its visitor day."""


def read_settings(path: Path) -> Settings:
    """Read `avowal.toml`, and check what its types alone cannot. Raises SettingsError if a setting is not valid."""
    settings = normalise_names(strict.load_toml(path, Settings, SettingsError))
    for key, value, is_valid, hint in _checks(settings):
        if not is_valid(value):
            raise SettingsError(f"{path}: `{key}` is `{value}`", hint)
    if settings.probe.timeout_seconds > settings.probe.interval_seconds:
        raise SettingsError(
            f"{path}: `probe.timeout_seconds` is longer than `probe.interval_seconds`",
            "choose a time-out that ends before the next probe",
            code="conflicting-options",
        )
    return settings


def normalise_names(settings: Settings) -> Settings:
    """Write hosts and paths as they are compared with what browsers and servers send. What is not valid stays."""
    site, collect, serve, probe = settings.site, settings.collect, settings.serve, settings.probe
    replace = msgspec.structs.replace
    return replace(
        settings,
        site=replace(
            site,
            host=_normalise_host(site.host),
            other_hosts=tuple(map(_normalise_host, site.other_hosts)),
        ),
        collect=replace(
            collect,
            static_paths=tuple(map(normalise_path, collect.static_paths)),
            upload_paths=tuple(map(normalise_path, collect.upload_paths)),
        ),
        serve=replace(serve, allowed_origins=tuple(map(_normalise_origin, serve.allowed_origins))),
        probe=replace(probe, urls=tuple(map(_normalise_url, probe.urls))),
    )


_URL = re.compile(r"(?i)(https?)://([^/?#@]+)(.*)", re.DOTALL)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _normalise_host(value: str) -> str:
    match = _URL.fullmatch(value)
    name = match[2] + match[3] if match else value
    return parse_host_name(name.removesuffix("/")) or value


def _normalise_url(value: str) -> str:
    """Write the scheme in lower case, the host as the DNS has it, and no port that is the default."""
    if not (match := _URL.fullmatch(value)):
        return value
    scheme, place = match[1].lower(), match[2]
    name, _, port = place.rpartition(":") if re.search(r":\d*$", place) else (place, "", "")
    host = parse_host_name(name)
    if host is None:
        return value
    suffix = "" if port in {"", _DEFAULT_PORTS[scheme]} else f":{port}"
    return f"{scheme}://{host}{suffix}{normalise_path(match[3])}"


def _normalise_origin(value: str) -> str:
    return _normalise_url(value).removesuffix("/")


def _checks(settings: Settings) -> Iterator[tuple[str, Any, Callable[[Any], bool], str]]:
    """Yield key, value, test and hint of each check; a list is checked value by value."""
    site, collect, serve, probe = settings.site, settings.collect, settings.serve, settings.probe
    hint = "use the name alone, as browsers send it: `www.example.org`"
    yield "site.host", site.host, _is_host, hint
    for host in site.other_hosts:
        yield "site.other_hosts", host, _is_host, hint
    hint = "begin it with `/` or `*`; what follows a `#` is never sent"
    for path in collect.static_paths:
        yield "collect.static_paths", path, _is_path_glob, hint
    for path in collect.upload_paths:
        yield "collect.upload_paths", path, _is_path_glob, hint
    hint = "use the letters after the last dot of a file's name: `.gz`"
    for extension in collect.static_extensions:
        yield "collect.static_extensions", extension, _is_extension, hint
    for extension in collect.download_extensions:
        yield "collect.download_extensions", extension, _is_extension, hint
    yield "site.timezone", site.timezone, _is_timezone, "use a name such as `Europe/Berlin`"
    yield "site.day_start", site.day_start, _is_time, "use hours and minutes: `04:00`"
    hint = "use a size such as `512MB` or `4GB`"
    yield "store.memory_limit", settings.store.memory_limit, _is_size, hint
    yield "query.memory_limit", settings.query.memory_limit, _is_size, hint
    hint = f"use 1 to {MAX_VISIT_GAP_MINUTES} minutes; 30 is customary"
    yield "collect.visit_gap_minutes", collect.visit_gap_minutes, _is_visit_gap, hint
    for origin in serve.allowed_origins:
        yield "serve.allowed_origins", origin, _is_origin, "use origins such as `https://example.org`"
    hint = "use an address and a port: `127.0.0.1:5140`"
    yield "serve.syslog_address", serve.syslog_address, _is_socket_address, hint
    hint = "use a path such as `/stats`, which begins with a slash and does not end with one"
    yield "serve.base_path", serve.base_path, _is_base_path, hint
    for network in serve.trusted_proxies:
        yield "serve.trusted_proxies", network, _is_network, "use networks such as `10.0.0.0/8`"
    hint = "use the name of one header, such as `X-Forwarded-For`"
    yield "serve.client_address_header", serve.client_address_header, _is_header_name, hint
    yield "mail.smtp_server", settings.mail.smtp_server, _is_server, "use a name and a port: `127.0.0.1:25`"
    for url in probe.urls:
        yield "probe.urls", url, _is_url, "use pages such as `https://example.org/`"
    for key, number in (
        ("query.timeout_seconds", settings.query.timeout_seconds),
        ("query.max_rows", settings.query.max_rows),
        ("probe.interval_seconds", probe.interval_seconds),
        ("probe.slow_ms", probe.slow_ms),
        ("probe.timeout_seconds", probe.timeout_seconds),
        ("probe.retention_days", probe.retention_days),
        *(("feed.interval_seconds", feed.interval_seconds) for feed in settings.feeds),
    ):
        yield key, number, _is_positive, "use a number of at least 1"


def _is_host(value: str) -> bool:
    return not value or parse_host_name(value) == value


def _is_path_glob(value: str) -> bool:
    return value.startswith(("/", "*", "?")) and "#" not in value


def _is_extension(value: str) -> bool:
    return bool(re.fullmatch(r"\.?[A-Za-z0-9]{1,12}", value))


def _is_positive(value: int) -> bool:
    return value >= 1


def _is_visit_gap(value: int) -> bool:
    return 1 <= value <= MAX_VISIT_GAP_MINUTES


def _is_timezone(value: str) -> bool:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _is_time(value: str) -> bool:
    return bool(re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value))


SIZE = re.compile(r"(\d+(?:\.\d+)?)\s?(MB|GB|MiB|GiB)")
UNIT_BYTES = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}


def parse_size(value: str) -> int:
    """Return the bytes of a size such as `512MB`. Raises ValueError if it is none."""
    if not (match := SIZE.fullmatch(value)):
        raise ValueError(f"`{value}` is not a size")
    return int(float(match[1]) * UNIT_BYTES[match[2]])


def _is_size(value: str) -> bool:
    return bool(SIZE.fullmatch(value))


def _is_origin(value: str) -> bool:
    return bool(re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?", value))


def _is_url(value: str) -> bool:
    return bool(re.fullmatch(r"https?://[a-z0-9.-]+(:\d{1,5})?(/[!-~]*)?", value))


def _is_base_path(value: str) -> bool:
    return bool(re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*", value))


def _is_network(value: str) -> bool:
    try:
        network = ip_network(value)
    except ValueError:
        return False
    return network.version == IPV4 or getattr(network.network_address, "ipv4_mapped", None) is None


IPV4 = 4
"""Addresses such as `::ffff:192.0.2.1` are read as IPv4, so a network of these would contain nobody."""


def _is_header_name(value: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", value))


def _is_server(value: str) -> bool:
    return not value or bool(re.fullmatch(r"([a-z0-9.-]+|\[[0-9a-f:]+\]):\d{1,5}", value))


def _is_socket_address(value: str) -> bool:
    return not value or bool(re.fullmatch(r"(\d+\.){3}\d+:\d{1,5}|\[[0-9a-f:]+\]:\d{1,5}", value))
