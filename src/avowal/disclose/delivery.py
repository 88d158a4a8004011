"""Handing a processor its pages: as files in a folder, or to an address over HTTPS, signed as Standard Webhooks are.

A page is the processor's once its file is gone from the folder, or its address answered with 2xx.
"""

import base64
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from time import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from avowal.atomic_files import create_file, replace_text
from avowal.clock import utc_now
from avowal.disclose.feed import FeedProvider, FeedResponse
from avowal.errors import InvalidInputError, RefusedError

if TYPE_CHECKING:
    from urllib3 import PoolManager

ATTEMPTS_MAX = 5
BACK_OFF_SECONDS = 1.0
BACK_OFF_MAX_SECONDS = 60.0
TIMEOUT_SECONDS = 30.0
RETRY_STATUSES = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which it is tried again."""

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
PAGE_SUFFIX, PENDING_SUFFIX = ".jsonl", ".new"
LAST_PAGE_FILE = ".avowal-last"
"""Where a folder remembers the last page that was put there."""


def deliver_feed(
    provider: FeedProvider, processor_name: str, destination: str, signing_key: bytes
) -> Iterator[FeedResponse]:
    """Hand a processor what came since, to a folder or an address, and yield what was given; see both."""
    if not destination.strip():
        raise InvalidInputError(
            "`--destination` is empty", "name a folder, or an address", code="missing-input"
        )
    return (
        deliver_to_webhook(provider, processor_name, destination, signing_key)
        if "://" in destination
        else deliver_to_folder(provider, processor_name, Path(destination))
    )


def deliver_to_folder(provider: FeedProvider, processor_name: str, folder: Path) -> Iterator[FeedResponse]:
    """Write what came since as files, and yield what was given; those that are gone from the folder are acknowledged.

    The folder remembers the last page that was put there: what never was cannot be gone from it.
    Raises InvalidInputError if there is no such folder.
    """
    if not folder.is_dir():
        raise InvalidInputError(
            f"`{folder}` is no folder", "make it, for its owner and the processor alone", code="file-missing"
        )
    feeds, pages = provider.register.feeds, provider.register.feeds.pages(processor_name)
    _publish_pending_pages(folder, {page.reference for page in pages})
    left = {path.stem.rpartition("-")[2] for path in folder.glob(f"*{PAGE_SUFFIX}")}
    places = {page.reference: place for place, page in enumerate(pages, 1)}
    put_there = max(places.get(one, 0) for one in (*left, _read_last_page(folder)))
    for page in pages[:put_there]:
        if page.reference in left:
            break
        if page.acknowledged_at is None:
            feeds.acknowledge(processor_name, page.reference, utc_now())
    last = max(put_there, places.get(feeds.last_acknowledged(processor_name), 0))
    number, after, more = len(pages), pages[last - 1].reference if last else "", True
    while more:
        number += 1
        before = partial(_write_pending_page, folder, number)
        given = provider.provide_page(processor_name, after, acknowledge=False, before_recording=before)
        more, after = given.has_more, given.page.reference
        if given.has_content:
            replace_text(folder / LAST_PAGE_FILE, after, private=True)
            _publish_pending_pages(folder, {after})
            yield given


def _read_last_page(folder: Path) -> str:
    """Return the reference of the last page that was put in a folder; empty where none is remembered."""
    try:
        return (folder / LAST_PAGE_FILE).read_text(encoding="ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _write_pending_page(folder: Path, number: int, given: FeedResponse) -> None:
    """Write a page where the processor does not look yet: whether it was given is known once it is on record."""
    with create_file(folder / f"{number:08}-{given.page.reference}{PAGE_SUFFIX}{PENDING_SUFFIX}") as file:
        file.write(b"".join(line + b"\n" for line in given.lines))


def _publish_pending_pages(folder: Path, given: Collection[str]) -> None:
    """Let the processor have the pages that were given, and take away those that were not."""
    for path in folder.glob(f"*{PAGE_SUFFIX}{PENDING_SUFFIX}"):
        final = path.with_suffix("")
        if final.stem.rpartition("-")[2] in given:
            path.replace(final)
        else:
            path.unlink()


def deliver_to_webhook(
    provider: FeedProvider, processor_name: str, url: str, signing_key: bytes
) -> Iterator[FeedResponse]:
    """Send what came since to an address, and yield what was given; `key` signs it (Ed25519).

    Raises InvalidInputError where the address is not of HTTPS, and RefusedError where it does not take a page.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS):
        raise InvalidInputError(
            f"`{url}` is no address of HTTPS",
            "what is sent is not for others on its way",
            code="invalid-address",
        )
    pool, more = _pool(), True
    while more:
        given = provider.provide_page(
            processor_name, provider.register.feeds.last_acknowledged(processor_name)
        )
        more = given.has_more
        if given.has_content:
            _send(pool, url, given, signing_key)
            provider.register.feeds.acknowledge(processor_name, given.page.reference, utc_now())
            yield given


def format_public_key(signing_key: bytes) -> str:
    """Return the key that checks what is sent, as Standard Webhooks write it."""
    public = Ed25519PrivateKey.from_private_bytes(signing_key).public_key().public_bytes_raw()
    return f"whpk_{base64.b64encode(public).decode()}"


def sign_webhook(signing_key: bytes, reference: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a body (Standard Webhooks, asymmetric)."""
    signature = Ed25519PrivateKey.from_private_bytes(signing_key).sign(
        f"{reference}.{timestamp}.".encode() + body
    )
    return {
        "webhook-id": reference,
        "webhook-timestamp": f"{timestamp}",
        "webhook-signature": f"v1a,{base64.b64encode(signature).decode()}",
    }


def _pool() -> "PoolManager":
    from urllib3 import PoolManager, Retry  # as everything of sending: where something is sent

    retry = Retry(
        total=ATTEMPTS_MAX,
        redirect=0,
        backoff_factor=BACK_OFF_SECONDS,
        backoff_max=BACK_OFF_MAX_SECONDS,
        backoff_jitter=BACK_OFF_SECONDS,
        status_forcelist=RETRY_STATUSES,
        allowed_methods=["POST"],
    )
    return PoolManager(retries=retry, timeout=TIMEOUT_SECONDS)


def _send(pool: "PoolManager", url: str, given: FeedResponse, key: bytes) -> None:
    from urllib3.exceptions import HTTPError

    body = b"".join(line + b"\n" for line in given.lines)
    headers = {
        "content-type": "application/x-ndjson",
        **sign_webhook(key, given.page.reference, int(time()), body),
    }
    try:
        answer = pool.request("POST", url, body=body, headers=headers, redirect=False)
    except HTTPError as error:
        raise RefusedError(
            f"the address of `{given.page.processor}` does not take its page ({type(error).__name__})",
            "nothing is lost: the next run sends it again",
            code="delivery-failed",
        ) from None
    if not 200 <= answer.status < 300:  # noqa: PLR2004  # what HTTP calls a success
        raise RefusedError(
            f"the address of `{given.page.processor}` answered {answer.status}",
            "nothing is lost: the next run sends it again",
            code="delivery-failed",
        )
