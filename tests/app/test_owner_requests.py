"""Requests about stored data have the same answer in every process."""

from collections.abc import Iterator
from typing import Any

import pytest

from avowal.app.owner_requests import (
    REQUEST_TYPES,
    CountRecordsSince,
    ExtractRelease,
    FindScriptViews,
    FindVisitorRecords,
    ReadFeedBatch,
    RunQuery,
    RunReport,
    VerifyStore,
)
from avowal.app.session import Session, open_session
from avowal.app.visitor_requests import ReadVisitorPage, SummarizeVisitor
from avowal.clock import utc_now
from avowal.disclose.feed import FeedRequest
from avowal.errors import AvowalError
from avowal.keep.visitor_lookup import VisitorSelector
from avowal.register.feeds import FeedPosition
from avowal.store.columns import RELATIONS
from avowal.use.own_query import SqlQuery
from avowal.use.report_request import ReportRequest, parse_filters
from avowal.use.reports import REPORTS
from avowal.workspace.client import FolderClient
from avowal.workspace.messages import (
    WORKSPACE_REQUESTS,
    AnyRequest,
    CountRecords,
    ListLogPositions,
    Request,
)
from avowal.workspace.unix_socket import connect
from support.disclosures import request_release
from support.processors import CONTRACT, add_processor
from support.visitors import ANN, NOON, site_with_two_visitors


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Open a folder with two visitors and a processor as its owner."""
    site = site_with_two_visitors(tmp_path_factory.mktemp("site"))
    add_processor(site, CONTRACT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(site.folder)
        with open_session(None) as session:
            assert session.backend.is_owner
            yield session


@pytest.fixture(scope="module")
def client(session: Session) -> Iterator[FolderClient]:
    """Connect to the owner as another process does."""
    folder = session.folder.data_folder
    connected = FolderClient(connect(folder), folder / "segments", "")
    yield connected
    connected.close()


def requests(session: Session) -> dict[str, AnyRequest]:
    """Return one request of each kind that changes nothing, by a name."""
    in_period = VisitorSelector(address=ANN, since=NOON.replace(hour=0), until=NOON.replace(hour=23))
    key = session.call(FindVisitorRecords(in_period)).key
    release = request_release(key, ["page-path", "request-time"], NOON)
    return {
        **{f"report {name}": RunReport(ReportRequest(name, filters=parse_filters([]))) for name in REPORTS},
        **{f"page {name}": ReadVisitorPage(key, name) for name in RELATIONS},
        "query": RunQuery(SqlQuery("abuse", "SELECT request_time, status FROM requests", "operator")),
        "visitor": FindVisitorRecords(in_period),
        "visitor's records": FindVisitorRecords(VisitorSelector(key)),
        "summary": SummarizeVisitor(key),
        "script views": FindScriptViews([1, 2]),
        "count": CountRecordsSince(NOON.replace(hour=0)),
        "release": ExtractRelease(release),
        "feed": ReadFeedBatch(FeedRequest("guard", FeedPosition())),
        "verification": VerifyStore(),
        "record counts": CountRecords(),
        "logs": ListLogPositions(),
    }


def test_an_answer_is_the_same_through_the_socket(
    session: Session, client: FolderClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer has the declared type and the same value, whichever process gives it."""
    now = utc_now()
    monkeypatch.setattr("avowal.app.owner_requests.utc_now", lambda: now)
    for name, request in requests(session).items():
        answer: Any = session.call(request)
        assert client.call(request) == answer, name
    assert session.call(requests(session)["report pages"]).tables["pages"].rows
    assert session.call(requests(session)["page requests"]).table.rows


def test_an_error_is_the_same_through_the_socket(session: Session, client: FolderClient) -> None:
    """An error keeps its class, code, message and hint through the socket."""
    errors = []
    for backend in (session, client):
        with pytest.raises(AvowalError) as error_info:
            backend.call(RunQuery(SqlQuery("abuse", "DROP TABLE requests", "operator")))
        errors.append(
            (type(error_info.value), error_info.value.code, error_info.value.message, error_info.value.hint)
        )
    assert errors[0] == errors[1]


def test_every_request_is_listed() -> None:
    """Every request type is in the list: the owner would not know one that is missing."""

    def list_leaf_classes(kind: type[Any]) -> set[type[Any]]:
        return {leaf for subclass in kind.__subclasses__() for leaf in list_leaf_classes(subclass)} or {kind}

    declared = {kind for kind in list_leaf_classes(Request) if kind.__module__.startswith("avowal.")}
    assert declared == {*REQUEST_TYPES, *WORKSPACE_REQUESTS}


def test_every_request_has_its_own_tag() -> None:
    """Each request type has its own tag, so that the owner can tell them apart."""
    tags = [kind.__struct_config__.tag for kind in (*REQUEST_TYPES, *WORKSPACE_REQUESTS)]
    assert len({*tags}) == len(tags)
