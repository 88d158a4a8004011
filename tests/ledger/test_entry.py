"""The bytes of ledger entries and of their commitments."""

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
    """Generate entries of a kind."""
    fields = msgspec.structs.fields(kind)
    return st.builds(
        kind, **{field.name: VALUES.get(field.type, st.from_type(field.type)) for field in fields}
    )


@given(st.one_of(*map(entries, get_args(Entry))))
def test_an_entry_is_canonical_json_and_decoded_without_loss(entry: Any) -> None:
    """The bytes of an entry are canonical JSON (RFC 8785), and decoding them returns the same entry."""
    try:
        canonical = rfc8785.dumps(msgspec.to_builtins(entry))
    except rfc8785.IntegerDomainError:
        reject()  # nothing is counted beyond what JSON can hold
    assert encode_entry(entry) == canonical
    assert decode_entry(encode_entry(entry)) == entry


@given(
    st.binary(min_size=32, max_size=32), st.dictionaries(NAMES.filter(lambda name: name != "salt"), st.text())
)
def test_a_commitment_is_the_hash_of_salt_and_canonical_json(salt: bytes, fields: dict[str, str]) -> None:
    """A commitment is the SHA-256 of its salt and canonical JSON, so any package for RFC 8785 can check it."""
    assert compute_commitment(salt, **fields) == sha256(salt + rfc8785.dumps(fields)).hexdigest()
