"""Which language a request gets: the one of `?lang=`, or the first of the browser's that there is."""

from babel import negotiate_locale
from starlette.requests import Request

ACCEPT_LANGUAGE_CHARACTERS_MAX = 1_000
"""How much of a header is read: browsers send a few languages, and each takes time to compare."""


def find_requested_languages(request: Request) -> str:
    """Return the languages that a request asks for, as a header Accept-Language: `?lang=`, or the browser's."""
    return request.query_params.get("lang") or request.headers.get("accept-language", "")


def negotiate_language(accept_language: str, languages: list[str]) -> str:
    """Return the language, of those available, that a header Accept-Language prefers; the first if it has none.

    >>> negotiate_language("de;q=0.9, pt;q=0.8, *;q=0.1", ["en", "pt-BR"])
    'pt-BR'
    """
    weighted = []
    for part in accept_language[:ACCEPT_LANGUAGE_CHARACTERS_MAX].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), tag))
        except ValueError:
            continue
    preferred = [
        tag for weight, tag in sorted(weighted, key=lambda pair: pair[0]) if weight < 0 and tag != "*"
    ]
    related = [language for tag in preferred for language in languages if language.partition("-")[0] == tag]
    return negotiate_locale([*preferred, *related], languages, sep="-") or languages[0]
