"""Query parameters that an address does not know: a misspelt one must not look as if it had been obeyed."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from avowal.http.headers import PRIVATE_HEADERS
from avowal.http.problem import ProblemCode, problem_response

KNOWN_PARAMETERS: dict[str, tuple[str, ...]] = {
    "/privacy/terms.json": ("version",),
    "/privacy/terms.jsonld": ("version",),
    "/feed/{name:str}": ("after", "limit"),
    "/releases": (),
    "/releases/{reference:str}": (),
    "/releases/{reference:str}/approval": (),
    "/releases/{reference:str}/package": (),
}
"""The parameters of each route for programs, by its path; any other parameter is refused there.

Public pages, scripts and images are not here: other sites and mail programs add parameters to links, and such
a link has to lead to the policy nevertheless.
"""

NAME_CHARACTERS_MAX = 40


def find_unknown_parameter(request: Request, known: Sequence[str]) -> str:
    """Return what is wrong with the first parameter that is not in `known`; empty if there is none."""
    name = next((name for name in request.query_params if name not in known), None)
    if name is None:
        return ""
    printable = "".join(character for character in name[:NAME_CHARACTERS_MAX] if character.isprintable())
    return f"this address has no parameter `{printable}`"


def list_known_parameters(known: Sequence[str]) -> str:
    """Return a hint that names all parameters of an address.

    >>> list_known_parameters(("after", "limit"))
    'its parameters are `after` and `limit`'
    >>> list_known_parameters(())
    'it has no parameters: leave out what follows `?`'
    """
    if not known:
        return "it has no parameters: leave out what follows `?`"
    names = " and ".join(f"`{name}`" for name in known)
    return f"its parameters are {names}" if len(known) > 1 else f"its only parameter is {names}"


def refuse_unknown_parameters(route: Route) -> Route:
    """Make a route of `KNOWN_PARAMETERS` answer requests with any other parameter with 400; returns the route."""
    if route.path in KNOWN_PARAMETERS:
        route.app = _refuse_others(route.app, KNOWN_PARAMETERS[route.path])
    return route


def _refuse_others(application: ASGIApp, known: tuple[str, ...]) -> ASGIApp:
    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if problem := find_unknown_parameter(Request(scope), known):
            hint = list_known_parameters(known)
            refusal = problem_response(400, ProblemCode.INVALID_PARAMETER, problem, hint, PRIVATE_HEADERS)
            await refusal(scope, receive, send)
            return
        await application(scope, receive, send)

    return checked
