"""Redirects to pages of this server."""

from collections.abc import Mapping

from starlette.responses import RedirectResponse

from avowal.base_path import address


def redirect(path: str, status: int, headers: Mapping[str, str]) -> RedirectResponse:
    """Return a redirect to a path of this server, which is below the base path."""
    return RedirectResponse(address(path), status, headers)
