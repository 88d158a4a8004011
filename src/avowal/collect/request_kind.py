"""What a request was for: a look at a page, a download, an upload, something that belongs to a page, or else."""

import re
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from avowal.config import CollectSettings
from avowal.logs.distinct_values import map_distinct_series


class RequestKind(StrEnum):
    """The kinds, and the rule of each."""

    VIEW = "view"
    """A page was asked for with GET and given (2xx, or 304: the visitor had it)."""
    DOWNLOAD = "download"
    """A file of a declared ending was asked for with GET and given, whole or in part."""
    UPLOAD = "upload"
    """Something was sent with PUT, POST or PATCH to a declared path, and taken (2xx or 3xx)."""
    STATIC = "static"
    """A part of a page (style, script, picture, font, feed), or a declared path."""
    OTHER = "other"
    """All else: errors, redirections, forms, probes, other methods."""


@dataclass(frozen=True)
class RequestKindRules:
    """The rules of one site, ready for use."""

    settings: CollectSettings

    def classify_requests(self, requests: pl.DataFrame) -> pl.Series:
        """Return the kind of each request, from its `method`, `path` and `status`."""
        status, method, ending = pl.col("status"), pl.col("method"), pl.col("ending")
        got = (method == "GET") & (status.is_between(200, 299) | (status == STATUS_NOT_MODIFIED))
        sent = method.is_in(["PUT", "POST", "PATCH"]) & status.is_between(200, 399)
        kind = (
            pl.when(sent & _matches(self.settings.upload_paths))
            .then(pl.lit(RequestKind.UPLOAD.value))
            .when(got & ending.is_in(_lower(self.settings.downloads)))
            .then(pl.lit(RequestKind.DOWNLOAD.value))
            .when(ending.is_in(_lower(self.settings.static)) | _matches(self.settings.static_paths))
            .then(pl.lit(RequestKind.STATIC.value))
            .when(got & pl.col("path").is_not_null())
            .then(pl.lit(RequestKind.VIEW.value))
            .otherwise(pl.lit(RequestKind.OTHER.value))
        )
        return (
            requests.with_columns(ending=map_distinct_series(requests["path"], _ending))
            .select(kind)
            .to_series()
        )


STATUS_NOT_MODIFIED = 304


def _ending(paths: pl.Series) -> pl.Series:
    return paths.str.extract(r"\.([A-Za-z0-9]{1,12})$").str.to_lowercase().fill_null("")


def _lower(endings: tuple[str, ...]) -> list[str]:
    return [ending.lower().lstrip(".") for ending in endings]


def _matches(globs: tuple[str, ...]) -> pl.Expr:
    """Return whether the path is of one of the globs: `*` stands for anything, `?` for one character."""
    if not globs:
        return pl.lit(value=False)
    as_regex = (re.escape(glob).replace(r"\*", ".*").replace(r"\?", ".") for glob in globs)
    return pl.col("path").str.contains(f"^(?:{'|'.join(as_regex)})$").fill_null(value=False)
