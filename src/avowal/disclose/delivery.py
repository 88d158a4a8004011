"""Delivers feed pages to processors: as files in a folder, or over HTTPS as signed Standard Webhooks.

A page is acknowledged when the processor removes its file from the folder, or answers with 2xx.
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
from avowal.disclose.loopback import LOOPBACK_HOSTS
from avowal.errors import InvalidInputError, RefusedError

if TYPE_CHECKING:
    from urllib3 import PoolManager

ATTEMPTS_MAX = 5
BACK_OFF_SECONDS = 1.0
BACK_OFF_MAX_SECONDS = 60.0
TIMEOUT_SECONDS = 30.0
RETRY_STATUSES = (408, 425, 429, 500, 502, 503, 504)
"""Statuses of answers after which a page is sent again."""

PAGE_SUFFIX, PENDING_SUFFIX = ".jsonl", ".new"
LAST_PAGE_FILE = ".avowal-last"
"""The file in a delivery folder with the reference of the last page that was put there."""


def deliver_feed(
    provider: FeedProvider, processor_name: str, destination: str, signing_key: bytes
) -> Iterator[FeedResponse]:
    """Deliver the pages since the last one to a folder or a URL, and yield each.

    See `deliver_to_folder` and `deliver_to_webhook`. Raises InvalidInputError if the destination is empty.
    """
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
    """Write the pages since the last one to files in a folder, and yield each.

    Pages whose files the processor has removed are acknowledged first. The folder has the reference of the last page
    that was put there, so that a page that was never put there does not count as removed. Raises InvalidInputError if
    the folder does not exist.
    """
    if not folder.is_dir():
        raise InvalidInputError(
            f"`{folder}` is not a folder",
            "create it, readable by its owner and the processor only",
            code="file-missing",
        )
    feeds, pages = provider.register.feeds, provider.register.feeds.pages(processor_name)
    _publish_pending_pages(folder, {page.reference for page in pages})
    remaining = {path.stem.rpartition("-")[2] for path in folder.glob(f"*{PAGE_SUFFIX}")}
    numbers = {page.reference: number for number, page in enumerate(pages, 1)}
    last_written = max(numbers.get(reference, 0) for reference in (*remaining, _read_last_page(folder)))
    for page in pages[:last_written]:
        if page.reference in remaining:
            break
        if page.acknowledged_at is None:
            feeds.acknowledge(processor_name, page.reference, utc_now())
    last = max(last_written, numbers.get(feeds.last_acknowledged(processor_name), 0))
    number, after, has_more = len(pages), pages[last - 1].reference if last else "", True
    while has_more:
        number += 1
        write_page = partial(_write_pending_page, folder, number)
        response = provider.provide_page(
            processor_name, after, acknowledge=False, before_recording=write_page
        )
        has_more, after = response.has_more, response.page.reference
        if response.has_content:
            replace_text(folder / LAST_PAGE_FILE, after, private=True)
            _publish_pending_pages(folder, {after})
            yield response


def _read_last_page(folder: Path) -> str:
    """Return the reference of the last page that was put in a folder; empty if the folder has none."""
    try:
        return (folder / LAST_PAGE_FILE).read_text(encoding="ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _write_pending_page(folder: Path, number: int, response: FeedResponse) -> None:
    """Write a page under a name that the processor does not read yet, because the page is not recorded yet."""
    with create_file(folder / f"{number:08}-{response.page.reference}{PAGE_SUFFIX}{PENDING_SUFFIX}") as file:
        file.write(b"".join(line + b"\n" for line in response.lines))


def _publish_pending_pages(folder: Path, recorded: Collection[str]) -> None:
    """Give the recorded pages their final names, and delete pending pages that were never recorded."""
    for path in folder.glob(f"*{PAGE_SUFFIX}{PENDING_SUFFIX}"):
        final = path.with_suffix("")
        if final.stem.rpartition("-")[2] in recorded:
            path.replace(final)
        else:
            path.unlink()


def deliver_to_webhook(
    provider: FeedProvider, processor_name: str, url: str, signing_key: bytes
) -> Iterator[FeedResponse]:
    """Send the pages since the last one to a URL, signed with an Ed25519 key, and yield each.

    Raises InvalidInputError if the URL is not HTTPS, and RefusedError if a page is not accepted.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS):
        raise InvalidInputError(
            f"`{url}` is not an address of HTTPS",
            "use HTTPS, so that nobody on the way can read the records",
            code="invalid-address",
        )
    pool, has_more = _create_pool(), True
    while has_more:
        response = provider.provide_page(
            processor_name, provider.register.feeds.last_acknowledged(processor_name)
        )
        has_more = response.has_more
        if response.has_content:
            _send(pool, url, response, signing_key)
            provider.register.feeds.acknowledge(processor_name, response.page.reference, utc_now())
            yield response


def format_public_key(signing_key: bytes) -> str:
    """Return the public key that verifies signatures, in the format of Standard Webhooks."""
    public = Ed25519PrivateKey.from_private_bytes(signing_key).public_key().public_bytes_raw()
    return f"whpk_{base64.b64encode(public).decode()}"


def sign_webhook(signing_key: bytes, reference: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers with the signature of a body (Standard Webhooks, asymmetric)."""
    signature = Ed25519PrivateKey.from_private_bytes(signing_key).sign(
        f"{reference}.{timestamp}.".encode() + body
    )
    return {
        "webhook-id": reference,
        "webhook-timestamp": f"{timestamp}",
        "webhook-signature": f"v1a,{base64.b64encode(signature).decode()}",
    }


def _create_pool() -> "PoolManager":
    from urllib3 import PoolManager, Retry  # imported only where something is sent

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


def _send(pool: "PoolManager", url: str, response: FeedResponse, key: bytes) -> None:
    from urllib3.exceptions import HTTPError

    body = b"".join(line + b"\n" for line in response.lines)
    headers = {
        "content-type": "application/x-ndjson",
        **sign_webhook(key, response.page.reference, int(time()), body),
    }
    try:
        answer = pool.request("POST", url, body=body, headers=headers, redirect=False)
    except HTTPError as error:
        raise RefusedError(
            f"the page for `{response.page.processor}` cannot be sent ({type(error).__name__})",
            "nothing is lost: the next run sends it again",
            code="delivery-failed",
        ) from None
    if not 200 <= answer.status < 300:  # noqa: PLR2004  # what HTTP calls a success
        raise RefusedError(
            f"the server of `{response.page.processor}` answered {answer.status}",
            "nothing is lost: the next run sends it again",
            code="delivery-failed",
        )
