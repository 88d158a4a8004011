"""Classify requests: page views, downloads, uploads, static parts of pages, and others."""

import re
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from avowal.config import CollectSettings
from avowal.logs.distinct_values import map_distinct_series


class RequestKind(StrEnum):
    """List the kinds, with the rule of each. The first rule that matches applies."""

    VIEW = "view"
    """A page that was requested with GET and delivered (2xx, or 304: the visitor has it).

    Where the type of the response is known, it has to be one of `PAGE_TYPES`.
    """
    DOWNLOAD = "download"
    """A file with a configured extension that was requested with GET and delivered, in full or in part."""
    UPLOAD = "upload"
    """Data that was sent with PUT, POST or PATCH to a configured path and accepted (2xx or 3xx)."""
    STATIC = "static"
    """A part of a page (style sheet, script, image, font, feed), or a configured path."""
    OTHER = "other"
    """Everything else: errors, redirects, forms, probes, other methods."""


@dataclass(frozen=True)
class RequestKindRules:
    """The rules of one site."""

    settings: CollectSettings

    def classify_requests(self, requests: pl.DataFrame) -> pl.Series:
        """Return the kind of each request, from its `method`, `path`, `status` and `content_type`."""
        status, method, extension = pl.col("status"), pl.col("method"), pl.col("extension")
        is_delivered = (method == "GET") & (status.is_between(200, 299) | (status == STATUS_NOT_MODIFIED))
        is_accepted = method.is_in(["PUT", "POST", "PATCH"]) & status.is_between(200, 399)
        is_page = pl.col("content_type").is_in(sorted(PAGE_TYPES)).fill_null(value=True)
        kind = (
            pl.when(is_accepted & _matches_any_glob(self.settings.upload_paths))
            .then(pl.lit(RequestKind.UPLOAD.value))
            .when(is_delivered & extension.is_in(_normalise_extensions(self.settings.download_extensions)))
            .then(pl.lit(RequestKind.DOWNLOAD.value))
            .when(
                extension.is_in(_normalise_extensions(self.settings.static_extensions))
                | _matches_any_glob(self.settings.static_paths)
            )
            .then(pl.lit(RequestKind.STATIC.value))
            .when(pl.col("content_type").str.contains(STATIC_TYPE_REGEX))
            .then(pl.lit(RequestKind.STATIC.value))
            .when(is_delivered & pl.col("path").is_not_null() & is_page)
            .then(pl.lit(RequestKind.VIEW.value))
            .otherwise(pl.lit(RequestKind.OTHER.value))
        )
        return (
            requests.with_columns(extension=map_distinct_series(requests["path"], _extract_extension))
            .select(kind)
            .to_series()
        )


STATUS_NOT_MODIFIED = 304

PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml", "text/plain", "text/markdown"})
"""The types of responses that are pages, which people read. JSON and the like are answers of an API."""

STATIC_TYPE_REGEX = "^(?:image/|font/|text/css$|(?:text|application)/(?:x-)?javascript$)"
"""A regex of the types of responses that are parts of a page."""


def _extract_extension(paths: pl.Series) -> pl.Series:
    return paths.str.extract(r"\.([A-Za-z0-9]{1,12})$").str.to_lowercase().fill_null("")


def _normalise_extensions(extensions: tuple[str, ...]) -> list[str]:
    return [extension.lower().lstrip(".") for extension in extensions]


def _matches_any_glob(globs: tuple[str, ...]) -> pl.Expr:
    """Return whether the path matches a glob: `*` matches any text, `?` one character."""
    if not globs:
        return pl.lit(value=False)
    regexes = (re.escape(glob).replace(r"\*", ".*").replace(r"\?", ".") for glob in globs)
    return pl.col("path").str.contains(f"^(?:{'|'.join(regexes)})$").fill_null(value=False)
