"""Errors as HTTP responses: problem details (RFC 9457) for programs, a page in their language for people."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from avowal.errors import AvowalError, DisclosureError, InvalidInputError, RefusedError
from avowal.http.headers import PAGE_HEADERS, PRIVATE_HEADERS
from avowal.http.json_response import NO_HEADERS, json_response
from avowal.http.language_choice import find_requested_languages, negotiate_language
from avowal.policy.page import render_template

PROBLEM_MEDIA_TYPE = "application/problem+json"
STATUS_BY_ERROR = {DisclosureError: 403, InvalidInputError: 400, RefusedError: 409}


class ProblemCode(StrEnum):
    """What is wrong with a request. `docs/reference.md` lists these codes; the other ones are those of errors."""

    BODY_TOO_LARGE = "body-too-large"
    CONSENT_NOT_OFFERED = "consent-not-offered"
    INVALID_EVENT = "invalid-event"
    INVALID_PARAMETER = "invalid-parameter"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    NO_NOTICE = "no-notice"
    NOT_FOUND = "not-found"
    NOT_SET_UP = "not-set-up"
    NOTHING_STORED = "nothing-stored"
    OTHER_ORIGIN = "other-origin"
    RECEIPT_NOT_FOUND = "receipt-not-found"
    TOO_MANY_ATTEMPTS = "too-many-attempts"
    TOO_MANY_REQUESTS = "too-many-requests"
    UNAVAILABLE = "unavailable"
    UNIDENTIFIED_VISITOR = "unidentified-visitor"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    VIEWS_NOT_FOUND = "views-not-found"
    WRONG_CREDENTIALS = "wrong-credentials"


def problem_response(
    status: int, code: str, detail: str, hint: str, headers: Mapping[str, str] = NO_HEADERS
) -> Response:
    """Return a problem as JSON: `detail` says what happened, `hint` what helps."""
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
    }
    return json_response(problem, status, headers, PROBLEM_MEDIA_TYPE)


def error_response(error: AvowalError, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Return an error that a use case raised as a problem."""
    status = next(status for kind, status in STATUS_BY_ERROR.items() if isinstance(error, kind))
    return problem_response(status, error.code, error.message, error.hint, headers)


def too_many_attempts(wait_seconds: int) -> Response:
    """Return the problem of a client that tried too many passwords or keys."""
    return problem_response(
        429,
        ProblemCode.TOO_MANY_ATTEMPTS,
        "too many attempts failed",
        f"wait {wait_seconds} seconds",
        {**PRIVATE_HEADERS, "Retry-After": str(wait_seconds)},
    )


def is_from_person(request: Request) -> bool:
    """Return whether a browser asks for a page that somebody is going to read."""
    return "text/html" in request.headers.get("accept", "")


def problem_page(
    request: Request,
    status: int,
    code: str,
    languages: Sequence[str],
    *,
    field: str = "",
    headers: Mapping[str, str] = PAGE_HEADERS,
) -> Response:
    """Return a page that explains a problem in the requested one of `languages`; `field` is a form's field."""
    language = negotiate_language(find_requested_languages(request), [*languages] or ["en"])
    page = render_template("problem.html", language, package="avowal.http", code=code, field=field)
    return HTMLResponse(
        page, status, {**headers, "Content-Language": language, "Vary": "Accept, Accept-Language"}
    )
