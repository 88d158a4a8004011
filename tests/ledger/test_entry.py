"""Entries of the ledger, as bytes."""

from datetime import datetime
from hashlib import sha256
from typing import Any, get_args

import msgspec
import rfc8785
from hypothesis import given, reject
from hypothesis import strategies as st

from avowal.ledger.commitment import compute_commitment
from avowal.ledger.entry import Entry, decode_entry, encode_entry

NAMES = st.from_regex(r"[a-z][A-Za-z-]*", fullmatch=True)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    datetime: st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)),  # noqa: DTZ001  # UTC without a zone
    dict[str, str]: st.dictionaries(NAMES, st.text()),
}


def entries(kind: Any) -> st.SearchStrategy[Any]:
    """Return any entry of a kind."""
    fields = msgspec.structs.fields(kind)
    return st.builds(kind, **{one.name: VALUES.get(one.type, st.from_type(one.type)) for one in fields})


@given(st.one_of(*map(entries, get_args(Entry))))
def test_an_entry_is_canonical_and_read_as_it_was_written(entry: Any) -> None:
    """Its bytes are those that the package for RFC 8785 makes of it, and nothing is lost on the way back."""
    try:
        canonical = rfc8785.dumps(msgspec.to_builtins(entry))
    except rfc8785.IntegerDomainError:
        reject()  # nothing is counted beyond what JSON can hold
    assert encode_entry(entry) == canonical
    assert decode_entry(encode_entry(entry)) == entry


@given(
    st.binary(min_size=32, max_size=32), st.dictionaries(NAMES.filter(lambda name: name != "salt"), st.text())
)
def test_a_commitment_is_to_canonical_json(salt: bytes, who: dict[str, str]) -> None:
    """Whoever has the salt computes it with any package for RFC 8785."""
    assert compute_commitment(salt, **who) == sha256(salt + rfc8785.dumps(who)).hexdigest()
