import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from avowal.logs.json_documents import RECORD_BYTES_MAX
from avowal.logs.log_file import open_log
from support.depth import by_depth

RECORDS = [{"a": 1, "b": 'x "}{" \\'}, {"c": {"d": [1, {"e": "]"}]}}, {"f": "é\n"}]


def read(folder: Path, text: bytes) -> list[bytes]:
    path = folder / "log.json"
    path.write_bytes(text)
    with open_log(path) as log:
        return log.read(1 << 24).splitlines()


def indent(value: object) -> bytes:
    return json.format(json.encode(value), indent=2)


DOCUMENTS = {
    "an array": json.encode(RECORDS),
    "an indented array": indent(RECORDS),
    "an object a line in an array": b"[\n"
    + b",\n".join(json.encode(record) for record in RECORDS)
    + b"\n]\n",
    "an array in an object": json.encode({"next": "x", "records": RECORDS}),
    "indented objects": b"\n".join(indent(record) for record in RECORDS),
    "objects on one line": b"".join(json.encode(record) for record in RECORDS) + b"\n",
    "objects and commas": b", ".join(json.encode(record) for record in RECORDS),
    "lines": b"\n".join(json.encode(record) for record in RECORDS) + b"\n",
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_each_record_of_a_document_is_a_line(document: bytes, tmp_path: Path) -> None:
    """However the objects are arranged, each is one line with the same content."""
    for text in (document, b"\xef\xbb\xbf" + document, gzip.compress(document)):
        assert [json.decode(line) for line in read(tmp_path, text)] == RECORDS


def test_several_envelopes_follow_each_other(tmp_path: Path) -> None:
    """Each line can be an object with an array of records."""
    envelope = json.encode({"records": RECORDS}) + b"\n"
    assert [json.decode(line) for line in read(tmp_path, envelope * 2)] == RECORDS * 2


def test_text_between_objects_is_kept(tmp_path: Path) -> None:
    """Text that is no JSON becomes a line, so that it is counted; so does an object that does not end."""
    assert read(tmp_path, b'{\n "a": 1\n}\nhello\n{\n "b": 2\n}\n{\n "c') == [
        b'{ "a": 1 }',
        b"hello",
        b'{ "b": 2 }',
        b' "c',
    ]


def test_a_cut_object_does_not_swallow_the_next_lines(tmp_path: Path) -> None:
    """Where several objects stand on a line, a line feed ends an object that was cut."""
    text = b'{"a":1}{"b":2}\n{"c":3\n{"d":4}\n'
    assert read(tmp_path, text) == [b'{"a":1}', b'{"b":2}', b'{"c":3', b'{"d":4}']


def test_a_record_that_never_ends_takes_no_memory(tmp_path: Path) -> None:
    """A record that is longer than a line may be becomes a line as it is."""
    lines = read(tmp_path, b'[{"a":"' + b"x" * (10 * RECORD_BYTES_MAX))
    assert len(lines) >= 1


@settings(max_examples=by_depth(standard=40, thorough=400), deadline=None)
@given(
    records=st.lists(
        st.dictionaries(
            st.text(max_size=4),
            st.recursive(
                st.none() | st.integers(0, 9) | st.text(max_size=6), lambda inner: st.lists(inner, max_size=2)
            ),
            min_size=1,
            max_size=3,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_array_becomes_its_objects(
    records: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the objects hold, an array of them becomes as many lines."""
    folder = tmp_path_factory.mktemp("array")
    for text in (json.encode(records), indent(records)):
        assert [json.decode(line) for line in read(folder, text)] == records
