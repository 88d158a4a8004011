"""Look up the country of an address in a database of the operator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import maxminddb
import polars as pl

from avowal.errors import SettingsError
from avowal.logs.distinct_values import map_distinct_texts


@dataclass(frozen=True)
class CountryDatabase:
    """A database of countries in MaxMind's format (MMDB), as MaxMind, DB-IP and others publish it."""

    _reader: maxminddb.Reader

    @classmethod
    def open(cls, path: Path) -> "CountryDatabase":
        """Open a database. Raises SettingsError if the file is missing or not a database."""
        try:
            return cls(maxminddb.open_database(path, maxminddb.MODE_AUTO))
        except (OSError, maxminddb.InvalidDatabaseError) as error:
            raise SettingsError(
                f"cannot read the country database `{path}` ({type(error).__name__})",
                "set `collect.country_database` to a file in MaxMind's format (`.mmdb`)",
                code="country-database-unreadable",
            ) from None

    def find_countries(self, addresses: pl.Series) -> pl.Series:
        """Return the country code (ISO 3166-1, two letters) of each address; null if it is not known."""
        return map_distinct_texts(addresses, lambda address: [self.find_country(address)], ["country"])[
            "country"
        ]

    def find_country(self, address: str) -> str | None:
        """Return the country code of one address, or None if it is not known."""
        try:
            record: Any = self._reader.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):  # an IPv6 address in an IPv4 database
            return None
        country = record.get("country") if isinstance(record, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else country
        return code if isinstance(code, str) and len(code) == COUNTRY_CODE_LENGTH else None


COUNTRY_CODE_LENGTH = len("BR")
