"""What is inserted into the pages of an application: the script, and the notice of a new version."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

from avowal.clock import utc_now
from avowal.http.language_choice import negotiate_language
from avowal.register.register import Register
from avowal.web.notice import find_current_notice, is_display_recorded, record_display, render_notice

NOTICE_REFRESH_SECONDS = 60.0
"""How often the register is read for a notice to show."""

EMBEDDED_NOTICE_PLACE = "every page of the application"
"""Where a notice was shown, as the ledger records it."""

_END_OF_HEAD = re.compile(rb"</(?:head|body)\s*>", re.IGNORECASE)
_END_OF_BODY = re.compile(rb"</body\s*>", re.IGNORECASE)

logger = logging.getLogger("avowal")


@dataclass
class PageInsertions:
    """What is inserted into one page: the script at the end of its head or body, the notice at the end of its body."""

    script: bytes
    notice: bytes
    on_notice_shown: Callable[[], None]
    """Called once the notice is inserted."""

    def insert(self, chunk: bytes) -> bytes:
        """Return a part of the page with what belongs into it; each is inserted once."""
        if self.script and (end := _END_OF_HEAD.search(chunk)):
            chunk = chunk[: end.start()] + self.script + chunk[end.start() :]
            self.script = b""
        if self.notice and (end := _END_OF_BODY.search(chunk)):
            chunk = chunk[: end.start()] + self.notice + chunk[end.start() :]
            self.notice = b""
            self.on_notice_shown()
        return chunk

    @property
    def is_complete(self) -> bool:
        """Whether everything is inserted."""
        return not self.script and not self.notice


class PageInserter:
    """Decides what is inserted into the pages of one application.

    Threads that answer requests call `find`; one background thread calls `refresh`.
    """

    def __init__(self, script_url: str) -> None:
        """Insert the script at `script_url`; empty to insert none."""
        self._script = f'<script src="{escape(script_url)}" defer></script>'.encode() if script_url else b""
        self._base_url = script_url.rpartition("/")[0] + "/"
        self._notices: dict[str, bytes] = {}
        """The notice to show, by language."""
        self._notice_version = 0
        self._shown_version = 0
        """The version whose notice a page showed since the last refresh; 0 if the script reports that itself."""
        self._refreshed_at = -NOTICE_REFRESH_SECONDS

    def find(
        self, method: str, status: int, headers: Mapping[str, str], accept_language: str
    ) -> PageInsertions | None:
        """Return what to insert into a response; None if that is nothing.

        `headers` are the response's, by their names in lower case; `accept_language` is the request's.
        """
        notices = self._notices
        if not (self._script or notices) or not _is_page(method, status, headers):
            return None
        notice = notices[negotiate_language(accept_language, list(notices))] if notices else b""
        return PageInsertions(self._script, notice, self._note_shown)

    def _note_shown(self) -> None:
        if not self._script:
            self._shown_version = self._notice_version

    def is_refresh_due(self) -> bool:
        """Return whether the register is to be read again, or a display is to be recorded."""
        return time.monotonic() - self._refreshed_at >= NOTICE_REFRESH_SECONDS or bool(self._shown_version)

    def reset(self) -> None:
        """Read the register as soon as possible."""
        self._refreshed_at = -NOTICE_REFRESH_SECONDS

    def refresh(self, register: Register) -> None:
        """Read which notice to show, and record that a page showed it, unless the script reports that.

        If this fails, no notice is shown and the failure is logged: the application must not fail.
        """
        self._refreshed_at = time.monotonic()
        try:
            version, texts = find_current_notice(register, utc_now())
            html = {tag: render_notice(texts, tag, self._base_url) for tag in texts}
            if self._script:  # which shows the notice itself
                html = {tag: f"<noscript>{text}</noscript>" for tag, text in html.items()}
            self._notices = {tag: text.encode() for tag, text in html.items()}
            self._notice_version = version
            if version and self._shown_version == version and not is_display_recorded(register, version):
                record_display(register, version, EMBEDDED_NOTICE_PLACE)
            self._shown_version = 0
        except Exception as error:  # noqa: BLE001  # whatever fails, the application goes on
            logger.error("no notice is shown at the moment (%s)", type(error).__name__)  # noqa: TRY400  # its text may hold data
            self._notices = {}


def _is_page(method: str, status: int, headers: Mapping[str, str]) -> bool:
    """Return whether a response is a whole page of HTML that is not compressed."""
    return (
        method != "HEAD"
        and status == 200  # noqa: PLR2004  # a whole page
        and headers.get("content-type", "").lower().startswith("text/html")
        and headers.get("content-encoding", "identity").lower() == "identity"
    )
