"""The docs match the program: its commands, settings, reports, columns, errors and ledger entries."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from avowal import config, errors
from avowal.app.import_logs import ImportReport
from avowal.change.draft import TERMS_FILE
from avowal.cli.main import COMMANDS as COMMAND_SUMMARIES
from avowal.cli.main import load_command
from avowal.cli.report import report_to_object
from avowal.collect.event_drop_reason import EventDropReason
from avowal.collect.line_counts import LineCounts
from avowal.config import Settings
from avowal.http.problem import ProblemCode
from avowal.http.rate_limit import ATTEMPTS_PER_HOUR, ATTEMPTS_PER_MINUTE, NAME_ATTEMPTS_PER_HOUR
from avowal.http.sender import READ_HEADERS
from avowal.ingest.log_import import FileImportReport
from avowal.ledger.entry import Entry
from avowal.logs.drop_reason import DropReason, LineOutcome
from avowal.policy.terms import compile_terms, load_terms
from avowal.policy.vocabulary import load_vocabulary
from avowal.server.request_limits import REQUEST_KINDS
from avowal.store.duckdb_store import DuckDBStore
from avowal.submissions.form_upload import RejectionCode
from avowal.use.purpose_view import PurposeView
from avowal.use.report_request import FILTER_DESCRIPTIONS, ReportRequest, parse_filters
from avowal.use.reports import FILTER_CATEGORIES, REPORTS, ReportResult, run_report
from avowal.verify.verification import FindingCode

ROOT = Path(__file__).parent.parent
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
LEDGER = (ROOT / "docs" / "spec" / "ledger.md").read_text(encoding="utf-8")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
DAY = datetime(2026, 1, 5)  # noqa: DTZ001  # UTC without a zone
STORED = ("requests", "script_views", "events", "views", "visits")


def strip_code_blocks(text: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def section(heading: str) -> str:
    """Return the text under a heading of the reference, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    assert f"\n{heading}\n" in f"\n{REFERENCE}", f"docs/reference.md has no `{heading}`"
    after = f"\n{REFERENCE}".partition(f"\n{heading}\n")[2]
    return re.split(rf"^#{{1,{level}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def table_rows(text: str) -> dict[str, list[str]]:
    """Return the other cells of a table's rows, by each name in code in their first cell."""
    cells: dict[str, list[str]] = {}
    for line in re.findall(r"^\| (`.+) \|$", text, re.MULTILINE):
        first, *others = line.split(" | ")
        cells |= dict.fromkeys(re.findall(r"`([^`]+)`", first), others)
    return cells


def load_commands() -> dict[str, Any]:
    """Return each command by its name."""
    commands: dict[str, Any] = {}
    for name in COMMAND_SUMMARIES:
        command = load_command(name)
        below = getattr(command, "commands", None)
        commands |= (
            {f"{name} {word}": subcommand for word, subcommand in below.items()} if below else {name: command}
        )
    return commands


def list_options(command: Any) -> set[str]:
    """Return the long options of a command."""
    return {word for option in command.params for word in option.opts if word.startswith("--")} - {"--help"}


def list_settings(kind: type[msgspec.Struct] = Settings, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the default of each setting."""
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from list_settings(field.type, f"{before}{field.encode_name}.")
        else:
            yield before + field.encode_name, field.default


COMMANDS = load_commands()
SETTINGS = dict(list_settings())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path, "64MB")
    yield opened
    opened.close()


def run_default_report(store: DuckDBStore, report: str) -> ReportResult:
    """Run a report on a store under the default terms."""
    terms = Path(str(resources.files("avowal.policy") / "examples" / "unless-refused" / TERMS_FILE))
    question = ReportRequest(report, filters=parse_filters([]))
    bounds = [compile_terms(load_terms(terms))]
    return run_report(lambda purpose: PurposeView(store, bounds, purpose, DAY), question)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    """The section of a command has a row for each of its options, and for no other."""
    assert {
        word for word in table_rows(section(f"## avowal {name}")) if word.startswith("--")
    } == list_options(COMMANDS[name])


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_and_default_is_documented(name: str) -> None:
    """The section of a setting names its default, and the file of `avowal init` has it in its table."""
    text, default = section(f"### {name}"), SETTINGS[name]
    if isinstance(default, tuple) and default:
        assert set(default) == set(text.partition("Default: ")[2].split())
    else:
        encoded = msgspec.json.encode(default).decode()
        assert f"Default: `{encoded}`" in text
    table, _, key = name.rpartition(".")
    template = (resources.files("avowal") / config.SETTINGS_FILE).read_text(encoding="utf-8")
    tables = dict(
        zip(
            ["", *re.findall(r"^\[(\w+)\]", template, re.MULTILINE)],
            re.split(r"^\[\w+\]", template, flags=re.MULTILINE),
            strict=True,
        )
    )
    assert f"\n# {key} = " in tables[table]


def test_the_reference_has_no_other_settings() -> None:
    """The reference has no heading of a setting that does not exist."""
    assert set(re.findall(r"^### (.+)$", section("# Settings"), re.MULTILINE)) == set(SETTINGS)


def test_every_environment_variable_is_documented() -> None:
    """The reference names each environment variable that the settings read, and no other."""
    source = Path(config.__file__).read_text(encoding="utf-8")
    read = set(re.findall(r'environment(?:\.get\(|\[)"(\w+)"', source))
    assert read == set(re.findall(r"`([A-Z_]+)`", section("## Environment")))


def test_every_drop_reason_is_documented_under_its_outcome() -> None:
    """Each drop reason has a heading under its outcome, in the order of the enum."""
    dropped, unparsable = section("# Reasons").split("(*unparsable*)")
    for outcome, text in ((LineOutcome.DROPPED, dropped), (LineOutcome.UNPARSABLE, unparsable)):
        assert re.findall(r"^### (.+)$", text, re.MULTILINE) == [
            reason.value for reason in DropReason if reason.outcome is outcome
        ]


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_and_column_is_documented(name: str, store: DuckDBStore) -> None:
    """The section of a report names its purpose, its categories, and its tables with their columns in order."""
    text = section(f"### {name}")
    intro = text.partition("|")[0]
    assert f"For `{REPORTS[name].purpose}`" in intro
    assert re.findall(r"`([^`]+)`", intro.partition("needs")[2].partition(".")[0]) == list(
        REPORTS[name].required_categories
    )
    assert all(f"`{category}`" in intro for category in REPORTS[name].alternative_categories)
    columns = {
        table: re.findall(r"`([^`]+)`", re.sub(r"\(.*?\)", "", cells[0].partition(";")[0]))
        for table, cells in table_rows(text).items()
    }
    assert columns == {
        table: result_table.columns for table, result_table in run_default_report(store, name).tables.items()
    }


def test_the_reference_has_no_other_reports() -> None:
    """The reference has no heading of a report that does not exist."""
    assert re.findall(r"^### (.+)$", section("# Reports"), re.MULTILINE) == list(REPORTS)


def test_every_filter_is_documented() -> None:
    """Each key of `--filter` has a row with the category that it needs."""
    categories = {key: cells[-1].strip("`") for key, cells in table_rows(section("### Filters")).items()}
    assert list(categories) == list(FILTER_DESCRIPTIONS)
    assert categories == FILTER_CATEGORIES


def test_every_json_key_is_documented(store: DuckDBStore) -> None:
    """Each key of the objects that `import` and `report` print has a row, and no other key has one."""
    report, files, counts = section("### The object of an import").split("Each object of `")
    assert set(table_rows(report)) == set(ImportReport.__struct_fields__)
    assert set(table_rows(files)) == set(FileImportReport.__struct_fields__)
    assert set(table_rows(counts)) == set(LineCounts.__struct_fields__)
    assert set(table_rows(section("### The object of a report"))) == set(
        report_to_object(run_default_report(store, "overview"))
    )


@pytest.mark.parametrize("table", STORED)
def test_every_stored_column_is_documented(table: str, store: DuckDBStore) -> None:
    """Each stored column has a row, and its category is in the vocabulary."""
    sql = "SELECT column_name FROM information_schema.columns WHERE table_name = $table"
    columns = [name for (name,) in store.query(sql, {"table": table}).rows]
    documented = table_rows(section(f"## Columns of {table}"))
    assert sorted(documented) == sorted(columns)
    words = load_vocabulary().words("categories")
    precisions = {precision for word in words.values() for precision in word.precisions}
    documented_words = {word for cells in documented.values() for word in re.findall(r"`([^`]+)`", cells[0])}
    assert documented_words - precisions <= set(words)


def test_every_other_table_is_documented(store: DuckDBStore) -> None:
    """The reference names each further table of the store."""
    sql = "SELECT table_name FROM information_schema.tables"
    tables = {name for (name,) in store.query(sql, {}).rows}
    documented = re.findall(r"(?m)`(\w+)`(?=[^|]*\|)", section("## Other tables"))
    assert tables - set(STORED) == set(documented)


def test_the_error_tree_is_complete() -> None:
    """The tree in the docstring of `errors.py` has each error once, below its base class."""
    tree: list[tuple[int, str]] = []
    parents: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ([│├└─ ]*)(\w+Error)\b", line):
            depth = len(match[1])
            tree = [(outer_depth, name) for outer_depth, name in tree if outer_depth < depth]
            parents[match[2]] = tree[-1][1] if tree else "Exception"
            tree.append((depth, match[2]))
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert parents == {kind.__name__: kind.__base__.__name__ for kind in classes if kind.__base__}


def list_codes(kind: Any = errors.ErrorCode) -> Iterator[str]:
    """Yield the codes of a union of literals."""
    for code in get_args(kind):
        yield from [code] if isinstance(code, str) else list_codes(code)


def test_every_error_code_is_documented() -> None:
    """Each error code has a row under `# Errors`, and no other code has one."""
    assert sorted(table_rows(section("# Errors"))) == sorted(list_codes())


def test_every_problem_code_is_documented() -> None:
    """Each problem code has a row under `# Problems`, and each reason to drop an event has one below it."""
    assert sorted(table_rows(section("# Problems"))) == sorted({*ProblemCode, *RejectionCode})
    assert list(table_rows(section("## Event drop reasons"))) == list(EventDropReason)


def test_every_finding_code_is_documented() -> None:
    """Each finding code has a row under `# Findings`, and no other code has one."""
    assert sorted(table_rows(section("# Findings"))) == sorted(list_codes(FindingCode))


def test_every_code_is_used() -> None:
    """Each code occurs outside its declaration: where it is raised, or as the default of a class."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "avowal").rglob("*.py"))
    codes = [*list_codes(), *list_codes(FindingCode)]
    assert [code for code in codes if sources.count(f'"{code}"') == 1] == []


def list_anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub forms them."""
    counts: Counter[str] = Counter()
    anchors = set()
    for heading in re.findall(
        r"^#+ (.+)$", strip_code_blocks(page.read_text(encoding="utf-8")), re.MULTILINE
    ):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        anchors.add(f"{anchor}-{counts[anchor]}" if counts[anchor] else anchor)
        counts[anchor] += 1
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_have_a_target(page: Path) -> None:
    """Each relative link leads to an existing file and heading."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", strip_code_blocks(page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (anchor and anchor not in list_anchors(target)):
            broken.append(link)
    assert broken == []


def find_calls(text: str) -> Iterator[str]:
    """Yield each call of `avowal` in a page: in blocks of code, also after `$` and `&&`, and in inline code."""
    for block in re.findall(r"^```[a-z]*$(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            yield from re.findall(r"(?:^|&& |\$ |ExecStart=\S*/)(avowal (?!:).*?)(?= &&| *#|$)", line)
    yield from re.findall(r"`(avowal [^`]+)`", strip_code_blocks(text).replace("\n", " "))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_documented_commands_exist(page: Path) -> None:
    """Each documented call uses a command and options that the program has."""
    unknown = []
    for call in find_calls(page.read_text(encoding="utf-8")):
        arguments = shlex.split(call)[1:]
        name = next((name for name in COMMANDS if arguments[: len(name.split())] == name.split()), None)
        options = {word.partition("=")[0] for word in arguments if word.startswith("--")}
        if name is None or options - list_options(COMMANDS[name]) - {"--help"}:
            unknown.append(call)
    assert unknown == []


def test_calls_in_the_readme_are_found() -> None:
    """The search for calls finds those of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names = {call.split()[1] for call in find_calls(text)}
    assert names >= {"init", "import", "report", "follow", "policy"}


@pytest.mark.parametrize("kind", get_args(Entry), ids=lambda kind: kind.__struct_config__.tag)
def test_every_ledger_entry_is_documented(kind: type[msgspec.Struct]) -> None:
    """The row of an entry kind names each of its fields, or says that they are the same as another kind's."""
    (row,) = re.findall(rf"^\| `{kind.__struct_config__.tag}` \| (.+) \|$", LEDGER, re.MULTILINE)
    missing = [name for name in kind.__struct_fields__ if f"`{name}`" not in row]
    assert missing == [] or row.startswith("the same")


def test_the_architecture_page_lists_every_package() -> None:
    """The architecture page has a row for each package and module of the top level."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(\w+)/?`", "".join(re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE))))
    source = ROOT / "src" / "avowal"
    packages = {path.parent.name for path in source.glob("*/__init__.py")}
    assert documented == packages | {path.stem for path in source.glob("*.py")} - {"__init__"}


def test_each_test_named_in_the_threat_model_exists() -> None:
    """The threat model names tests as `file::test` or `file`; each of them exists."""
    text = (ROOT / "docs/security.md").read_text()
    named = re.findall(r"`([a-z_]+/test_\w+\.py)(?:::(test_\w+))?`", text)
    assert len(named) > 30
    for file, test in named:
        source = (ROOT / "tests" / file).read_text()
        assert not test or f"def {test}(" in source, f"{file}::{test}"


def test_every_request_header_that_is_read_is_documented() -> None:
    """The table of request headers has each header that the code reads, and no other."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "avowal").rglob("*.py"))
    read = {name.decode() for name in READ_HEADERS}
    read |= set(re.findall(r'request\.headers\.get\("([a-z-]+)"', source))
    read |= {"referer"}  # what the middleware reads besides
    documented = re.findall(
        r"`([A-Z][A-Za-z-]+)`",
        "".join(re.findall(r"^\| (`.+?) \|", section("### Request headers"), re.MULTILINE)),
    )
    assert {name.lower() for name in documented} == read


def test_the_manual_removes_each_other_address_header_in_each_web_server() -> None:
    """The settings of each web server remove the same headers, by which other programs recognise an address."""
    manual = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    removed = [
        re.findall(pattern, manual)
        for pattern in (
            r'proxy_set_header (\S+) "";',
            r"RequestHeader unset (?!X-Forwarded-For|X_)(\S+)",
            r"header_up -(?!X_)(\S+)",
            r"http-request del-header (?!X_)(\S+)",
        )
    ]
    assert removed[0]
    assert removed == [removed[0]] * 4


def test_every_limit_is_documented() -> None:
    """The table of limits has each kind of request with its number, in their order."""
    rows = {name: cells[0] for name, cells in table_rows(section("### Limits")).items()}
    limited = {kind.name: f"{kind.per_minute:,}" for kind in REQUEST_KINDS if kind.per_minute}
    assert {name: rows.get(name) for name in limited} == limited
    assert {kind.name for kind in REQUEST_KINDS} - set(rows) == {"health"}
    attempts = section("### Limits").partition("wrong passwords and keys")[2]
    assert attempts.startswith(f" | {ATTEMPTS_PER_MINUTE}; {ATTEMPTS_PER_HOUR} in an hour |")
    assert f" | {NAME_ATTEMPTS_PER_HOUR:,} in an hour |" in attempts
