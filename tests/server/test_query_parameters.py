"""A query parameter that a route for programs does not know is refused; public pages ignore it."""

import json
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest

from avowal.http.query_parameters import KNOWN_PARAMETERS
from avowal.server.application import Endpoints, list_routes
from support.running_server import SETTINGS, RunningServer, start_server
from support.site import Site

HANDLED_AS_DATA = ("/feed/", "/releases", "/privacy/terms.")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    site = Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)
    with start_server(site) as running_server:
        yield running_server


def all_routes() -> list[tuple[str, str]]:
    """Return the method and the path of each route."""
    hints: dict[str, Any] = get_type_hints(Endpoints)
    parts = {name: object.__new__(kind) for name, kind in hints.items() if hasattr(kind, "routes")}
    endpoints = Endpoints(**{name: parts.get(name) for name in hints})  # type: ignore[arg-type]  # not called
    return [
        (method, route.path)
        for route in list_routes(endpoints)
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]


def fill(path: str) -> str:
    """Return a path with a value for each of its parts; nothing is there under these."""
    parts = [part.partition("{") for part in path.split("/")]
    return "/".join(f"{start}1" if brace else start for start, brace, _ in parts)


@pytest.mark.parametrize(("method", "path"), all_routes())
def test_unknown_parameters_are_refused_where_programs_ask(
    server: RunningServer, method: str, path: str
) -> None:
    """Routes for programs answer 400 and name what they know; every other route answers as without it."""
    body = b"{}" if method == "POST" else b""
    plain = server.request(method, fill(path), body)
    answer = server.request(method, f"{fill(path)}?sinse=1", body)
    assert (path in KNOWN_PARAMETERS) == path.startswith(HANDLED_AS_DATA)
    if path not in KNOWN_PARAMETERS:
        assert answer.status == plain.status
        return
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"]) == (400, "invalid-parameter")
    assert "`sinse`" in problem["detail"]
    assert all(f"`{name}`" in problem["hint"] for name in KNOWN_PARAMETERS[path])
    for name in KNOWN_PARAMETERS[path]:
        assert server.request(method, f"{fill(path)}?{name}=1", body).status != 400
