"""The addresses of Avowal's own pages, below the path at which a web server mounts them (`serve.base_path`).

Routes, templates and code name an address as if it were mounted at the root, such as `/privacy/`. `address` turns it
into what a browser needs, wherever it leaves the program: in a link, a form, a redirect or the path of a cookie.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_base_path: ContextVar[str] = ContextVar("base_path", default="")


def address(path: str) -> str:
    """Return a path of this server below the base path; a URL or a relative path as it is.

    >>> with mounted_at("/stats"):
    ...     address("/privacy/"), address("https://example.org/"), address("terms.json")
    ('/stats/privacy/', 'https://example.org/', 'terms.json')
    """
    return f"{_base_path.get()}{path}" if path.startswith("/") else path


@contextmanager
def mounted_at(base_path: str) -> Iterator[None]:
    """Let `address` put a base path before each path, within the block and the threads that it starts work in."""
    token = _base_path.set(base_path)
    try:
        yield
    finally:
        _base_path.reset(token)
