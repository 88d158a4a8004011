"""What is fuzzed: functions that read what strangers write, and what must hold for any input.

Each target takes bytes, and raises `AssertionError` if something that must hold does not. Errors that Avowal raises on
purpose are right; any other exception is a fault. `SEEDS` has inputs that the fuzzer starts from.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import msgspec
import polars as pl
import sqlglot
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from sqlglot import exp

from avowal.app.verification import verify_entry
from avowal.collect.admission import AdmissionRules
from avowal.collect.event_admission import EventAdmission
from avowal.collect.script_event import (
    ClientIdentity,
    EventDropError,
    VisitorKeys,
    parse_event,
)
from avowal.disclose.package import check_package
from avowal.endpoints.multipart_form import MultipartFormReader
from avowal.errors import AvowalError
from avowal.logs.formats import FORMATS, create_parser
from avowal.policy.bounds import parse_canonical
from avowal.policy.compare import compare
from avowal.policy.document import parse_document
from avowal.policy.form import Form
from avowal.policy.markdown import render_sections
from avowal.policy.terms import compile_terms, parse_terms
from avowal.store.columns import RELATIONS
from avowal.strict import JSON_ERRORS
from avowal.submissions.form_upload import TEXT_BYTES_MAX, FormUpload, SubmissionRejected
from avowal.use.row_selection import parse_row_selection
from avowal.use.sql_allow_list import validate_query
from avowal.use.table_scope import CATALOG
from signed import STATEMENT
from support.ledgers import SIGNER
from support.packages import FILES, MANIFEST
from support.packages import NOW as SIGNED_AT

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NO_QUERY = AdmissionRules(
    1,
    {
        "view-time": {"full": None},
        "host": {"full": None},
        "page-path": {"full": None},
        "referrer": {"page": None},
        "ip-address": {"prefix": None},
    },
)
"""Terms that let in paths, and the pages of referrers, without a query, and addresses as networks."""
ADMISSION = EventAdmission([NO_QUERY])
FORM = Form(name="contact", purposes=["content"], fields={"name": "name", "message": "message"})
ROWS_MAX = 100


def fuzz_sql(data: bytes) -> None:
    """Check that a query is refused, or what runs is its checked tree, which reads relations and its own WITH alone."""
    try:
        validated = validate_query(data.decode("utf-8", "replace"), {"ip_address": "is not shown"}, ROWS_MAX)
    except AvowalError:
        return
    tree = sqlglot.parse_one(validated.sql, read="duckdb")
    assert tree == validated.tree
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        assert (table.catalog == CATALOG and table.name in RELATIONS) or table.name.lower() in own
    assert validated.columns.keys() <= RELATIONS.keys()


def fuzz_rows(data: bytes) -> None:
    """Check that a choice of rows is refused, or its rendered text means the same."""
    try:
        selection = parse_row_selection(data.decode("utf-8", "replace"))
    except AvowalError:
        return
    assert parse_row_selection(str(selection)) == selection


def fuzz_collect(data: bytes) -> None:
    """Check that an event is refused, or its row has no query and no whole address."""
    try:
        event = parse_event(data)
    except JSON_ERRORS:
        return
    client = ClientIdentity("192.0.2.7", data.decode("latin-1"))
    try:
        row, *_ = ADMISSION.admit_event(
            event, client, lambda *_, **__: VisitorKeys(2), int(NOW.timestamp()) * 1_000_000
        )
    except EventDropError:
        return
    assert "192.0.2.7" not in str(row)
    for value in (row.page_path, row.referrer):
        assert value is None or not set("?#\n\r\0") & set(value), value
    assert row.page_query is None


def fuzz_multipart(data: bytes) -> None:
    """Check that a form is refused, or has at most its limit of text, in fields that the form declares."""
    head, _, body = data.partition(b"\n")
    _, options = parse_options_header(head)
    boundary = options.get(b"boundary", b"")
    if not boundary:
        return
    upload = FormUpload(FORM, _refuse_file)
    reader = MultipartFormReader(upload)
    try:
        parser = MultipartParser(boundary, reader.parser_callbacks())
        for start in range(0, len(body), 7):
            parser.write(body[start : start + 7])
        parser.finalize()
        inputs = upload.collect_inputs()
    except (FormParserError, SubmissionRejected):
        return
    assert sum(len(str(given.value)) for given in inputs) <= TEXT_BYTES_MAX
    assert {given.field for given in inputs} <= FORM.fields.keys()


def _refuse_file() -> Any:
    raise AssertionError("the form has no field for a file")


def fuzz_lines(data: bytes) -> None:
    """Check that each line is a request or is dropped with a reason; none is lost, and none is counted twice."""
    formats = list(FORMATS)
    lines = data[1:].decode("utf-8", "replace").split("\n")
    series = pl.Series([line.removesuffix("\r") for line in lines], dtype=pl.String)
    result = create_parser(formats[data[0] % len(formats)] if data else formats[0]).parse(series)
    numbers = sorted([*result.requests["line"], *result.drops["line"]])
    assert numbers == sorted(set(numbers)), "a line was counted twice"
    assert len(numbers) == len(series), "a line was lost"


def fuzz_document(data: bytes) -> None:
    """Check that a document is refused, or its page runs no script of the document's own."""
    try:
        document = parse_document(data.decode("utf-8", "replace"), "document.md")
    except AvowalError:
        return
    for _, html in render_sections(document):
        lowered = html.lower()
        assert "<script" not in lowered
        assert 'href="javascript:' not in lowered


def fuzz_terms(data: bytes) -> None:
    """Check that terms are refused, or their canonical form is read as the same, and is as protective as itself."""
    try:
        compiled = compile_terms(parse_terms(data.decode("utf-8", "replace"), "terms.toml"))
    except AvowalError:
        return
    canonical = compiled.encode_canonical()
    again = parse_canonical(canonical)
    assert again.encode_canonical() == canonical
    assert compare(compiled, again).is_at_least_as_protective


def fuzz_package(data: bytes) -> None:
    """Check that a package is refused, or is the one that was signed."""
    with NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            manifest, _ = check_package(Path(file.name), SIGNER.verifier, SIGNED_AT)
        except AvowalError:
            return
    assert manifest == MANIFEST
    assert FILES["requests.jsonl"] in data


def fuzz_receipt(data: bytes) -> None:
    """Check that a receipt is refused, or says what was signed."""
    text = data.decode("utf-8", "replace")
    try:
        verify_entry(text, SIGNER.verifier)
    except AvowalError:
        return
    if text.startswith("{"):
        members = json.loads(text)
        del members["proof"]
        assert members == msgspec.to_builtins(STATEMENT)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "sql": fuzz_sql,
    "rows": fuzz_rows,
    "collect": fuzz_collect,
    "multipart": fuzz_multipart,
    "lines": fuzz_lines,
    "document": fuzz_document,
    "terms": fuzz_terms,
    "package": fuzz_package,
    "receipt": fuzz_receipt,
}
