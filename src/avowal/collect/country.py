"""The country that an address belongs to, by a database that the operator has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import maxminddb
import polars as pl

from avowal.errors import SettingsError
from avowal.logs.distinct_values import map_distinct_texts


@dataclass(frozen=True)
class CountryDatabase:
    """A database of countries in MaxMind's format (MMDB), as MaxMind, DB-IP and others hand them out."""

    _reader: maxminddb.Reader

    @classmethod
    def open(cls, path: Path) -> "CountryDatabase":
        """Open a database. Raises SettingsError where there is none."""
        try:
            return cls(maxminddb.open_database(path, maxminddb.MODE_AUTO))
        except (OSError, maxminddb.InvalidDatabaseError) as error:
            raise SettingsError(
                f"`{path}` is no database of countries ({type(error).__name__})",
                "`collect.country_database` is the path of a file in MaxMind's format, `.mmdb`",
                code="country-database-unreadable",
            ) from None

    def find_countries(self, addresses: pl.Series) -> pl.Series:
        """Return the country of each address, as two letters (ISO 3166-1); null where that is not known."""
        return map_distinct_texts(addresses, lambda address: [self.find_country(address)], ["country"])[
            "country"
        ]

    def find_country(self, address: str) -> str | None:
        """Return the country of one address."""
        try:
            record: Any = self._reader.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):  # an address of six in a database of four
            return None
        place = record.get("country") if isinstance(record, dict) else None
        code = place.get("iso_code") if isinstance(place, dict) else place
        return code if isinstance(code, str) and len(code) == COUNTRY_CODE_LENGTH else None


COUNTRY_CODE_LENGTH = len("BR")
