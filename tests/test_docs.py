"""The docs hold what the program has; terms, words and formats are compared with the docs beside their own tests."""

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
from avowal.ingest.log_import import FileImportReport
from avowal.ledger.entry import Entry
from avowal.logs.drop_reason import DropReason, LineOutcome
from avowal.policy.terms import compile_terms, load_terms
from avowal.policy.vocabulary import load_vocabulary
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


def plain(text: str) -> str:
    """Take blocks of code out of a page."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def section(heading: str) -> str:
    """Return what stands under a heading of the reference, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    assert f"\n{heading}\n" in f"\n{REFERENCE}", f"docs/reference.md has no `{heading}`"
    after = f"\n{REFERENCE}".partition(f"\n{heading}\n")[2]
    return re.split(rf"^#{{1,{level}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> dict[str, list[str]]:
    """Return the other cells of a table's rows, by each word in code in their first cell."""
    found: dict[str, list[str]] = {}
    for line in re.findall(r"^\| (`.+) \|$", text, re.MULTILINE):
        first, *others = line.split(" | ")
        found |= dict.fromkeys(re.findall(r"`([^`]+)`", first), others)
    return found


def commands() -> dict[str, Any]:
    """Return each command by its words."""
    found: dict[str, Any] = {}
    for name in COMMAND_SUMMARIES:
        command = load_command(name)
        below = getattr(command, "commands", None)
        found |= {f"{name} {word}": one for word, one in below.items()} if below else {name: command}
    return found


def options(command: Any) -> set[str]:
    """Return the long options of a command."""
    return {word for option in command.params for word in option.opts if word.startswith("--")} - {"--help"}


def settings(kind: type[msgspec.Struct] = Settings, before: str = "") -> Iterator[tuple[str, Any]]:
    """Give the dotted name of each setting, and its default."""
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from settings(field.type, f"{before}{field.encode_name}.")
        else:
            yield before + field.encode_name, field.default


COMMANDS = commands()
SETTINGS = dict(settings())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path, "64MB")
    yield opened
    opened.close()


def asked(store: DuckDBStore, report: str) -> ReportResult:
    """Ask a store for a report under the default terms."""
    terms = Path(str(resources.files("avowal.policy") / "defaults" / TERMS_FILE))
    question = ReportRequest(report, filters=parse_filters([]))
    bounds = [compile_terms(load_terms(terms))]
    return run_report(lambda purpose: PurposeView(store, bounds, purpose, DAY), question)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_heading_and_its_options(name: str) -> None:
    """The section of a command has a row for each of its options, and for no other."""
    assert {word for word in rows(section(f"## avowal {name}")) if word.startswith("--")} == options(
        COMMANDS[name]
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_its_heading_and_default(name: str) -> None:
    """The section of a setting tells its default, and the file that `avowal init` writes has it in its table."""
    told, default = section(f"### {name}"), SETTINGS[name]
    if isinstance(default, tuple) and default:
        assert set(default) == set(told.partition("Default: ")[2].split())
    else:
        written = msgspec.json.encode(default).decode()
        assert f"Default: `{written}`" in told
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
    """A heading of a setting that was taken away fails."""
    assert set(re.findall(r"^### (.+)$", section("# Settings"), re.MULTILINE)) == set(SETTINGS)


def test_every_variable_of_the_environment_is_told() -> None:
    """A variable that the settings read, and the reference does not name, fails."""
    source = Path(config.__file__).read_text(encoding="utf-8")
    read = set(re.findall(r'environment(?:\.get\(|\[)"(\w+)"', source))
    assert read == set(re.findall(r"`([A-Z_]+)`", section("## Environment")))


def test_every_reason_has_its_heading_under_its_fate() -> None:
    """Each reason why a line became no request stands among those of its fate, in the order of the list."""
    dropped, dead = section("# Reasons").split("(*unparsable*)")
    for fate, text in ((LineOutcome.DROPPED, dropped), (LineOutcome.UNPARSABLE, dead)):
        assert re.findall(r"^### (.+)$", text, re.MULTILINE) == [
            reason.value for reason in DropReason if reason.outcome is fate
        ]


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_has_its_heading_and_columns(name: str, store: DuckDBStore) -> None:
    """The section of a report names its purpose, the categories that it needs, its tables and their columns in order."""
    told = section(f"### {name}")
    intro = told.partition("|")[0]
    assert f"For `{REPORTS[name].purpose}`" in intro
    assert re.findall(r"`([^`]+)`", intro.partition("needs")[2].partition(".")[0]) == list(
        REPORTS[name].required_categories
    )
    assert all(f"`{category}`" in intro for category in REPORTS[name].alternative_categories)
    columns = {
        table: re.findall(r"`([^`]+)`", re.sub(r"\(.*?\)", "", cells[0].partition(";")[0]))
        for table, cells in rows(told).items()
    }
    assert columns == {table: found.columns for table, found in asked(store, name).tables.items()}


def test_the_reference_has_no_other_reports() -> None:
    """A heading of a report that was taken away fails."""
    assert re.findall(r"^### (.+)$", section("# Reports"), re.MULTILINE) == list(REPORTS)


def test_every_filter_is_told() -> None:
    """Each key of `--filter` has its row, with the category that it needs."""
    told = {key: cells[-1].strip("`") for key, cells in rows(section("### Filters")).items()}
    assert list(told) == list(FILTER_DESCRIPTIONS)
    assert told == FILTER_CATEGORIES


def test_every_key_of_json_is_told(store: DuckDBStore) -> None:
    """Each key of the objects that `import` and `report` print has its row, and no other has."""
    whole, files, counts = section("### The object of an import").split("Each object of `")
    assert set(rows(whole)) == set(ImportReport.__struct_fields__)
    assert set(rows(files)) == set(FileImportReport.__struct_fields__)
    assert set(rows(counts)) == set(LineCounts.__struct_fields__)
    assert set(rows(section("### The object of a report"))) == set(report_to_object(asked(store, "overview")))


@pytest.mark.parametrize("table", STORED)
def test_every_stored_column_is_told(table: str, store: DuckDBStore) -> None:
    """Each column has its row, and its category is a word of the vocabulary."""
    sql = "SELECT column_name FROM information_schema.columns WHERE table_name = $table"
    columns = [name for (name,) in store.query(sql, {"table": table}).rows]
    told = rows(section(f"## Columns of {table}"))
    assert sorted(told) == sorted(columns)
    words = load_vocabulary().words("categories")
    precisions = {precision for word in words.values() for precision in word.precisions}
    named = {word for cells in told.values() for word in re.findall(r"`([^`]+)`", cells[0])}
    assert named - precisions <= set(words)


def test_every_other_table_is_told(store: DuckDBStore) -> None:
    """A table of the store that the reference does not name fails."""
    sql = "SELECT table_name FROM information_schema.tables"
    tables = {name for (name,) in store.query(sql, {}).rows}
    named = re.findall(r"(?m)`(\w+)`(?=[^|]*\|)", section("## Other tables"))
    assert tables - set(STORED) == set(named)


def test_the_tree_of_errors_is_whole() -> None:
    """Each error stands in the tree once, beneath the one that it is made from, and says what its class says."""
    tree: list[tuple[int, str]] = []
    parents: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ([│├└─ ]*)(\w+Error)\b", line):
            depth = len(found[1])
            tree = [(above, name) for above, name in tree if above < depth]
            parents[found[2]] = tree[-1][1] if tree else "Exception"
            tree.append((depth, found[2]))
    raised = [one for one in vars(errors).values() if isinstance(one, type)]
    assert parents == {one.__name__: one.__base__.__name__ for one in raised if one.__base__}


def error_codes(kind: Any = errors.ErrorCode) -> Iterator[str]:
    """Give the codes of a union of literals."""
    for word in get_args(kind):
        yield from [word] if isinstance(word, str) else error_codes(word)


def test_every_error_code_is_explained() -> None:
    """Each code has its row under `# Errors`, and no other code has."""
    assert sorted(rows(section("# Errors"))) == sorted(error_codes())


def test_every_code_of_a_problem_is_explained() -> None:
    """Each code has its row under `# Problems`, and each reason why an event is dropped has one, too."""
    assert sorted(rows(section("# Problems"))) == sorted({*ProblemCode, *RejectionCode})
    assert list(rows(section("## Event drop reasons"))) == list(EventDropReason)


def test_every_finding_code_is_explained() -> None:
    """Each code of a finding has its row under `# Findings`, and no other code has."""
    assert sorted(rows(section("# Findings"))) == sorted(error_codes(FindingCode))


def test_every_code_is_used() -> None:
    """Each code stands somewhere beside its declaration: where it is raised, or as the default of a class."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "avowal").rglob("*.py"))
    codes = [*error_codes(), *error_codes(FindingCode)]
    assert [code for code in codes if sources.count(f'"{code}"') == 1] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors that the headings of a page make, as GitHub makes them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", plain(page.read_text(encoding="utf-8")), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link to a file that is not there, or to a heading that is not in it, fails."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", plain(page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def called(text: str) -> Iterator[str]:
    """Give each call of `avowal` in a page: lines of blocks of code, also behind `$` and `&&`, and code in the text."""
    for block in re.findall(r"^```[a-z]*$(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            yield from re.findall(r"(?:^|&& |\$ |ExecStart=\S*/)(avowal (?!:).*?)(?= &&| *#|$)", line)
    yield from re.findall(r"`(avowal [^`]+)`", plain(text).replace("\n", " "))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    """A call of a command or of an option that the program does not have fails."""
    wrong = []
    for call in called(page.read_text(encoding="utf-8")):
        words = shlex.split(call)[1:]
        name = next((name for name in COMMANDS if words[: len(name.split())] == name.split()), None)
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        if name is None or used - options(COMMANDS[name]) - {"--help"}:
            wrong.append(call)
    assert wrong == []


def test_the_readme_shows_commands() -> None:
    """The search for calls finds those of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = {call.split()[1] for call in called(text)}
    assert found >= {"init", "import", "report", "follow", "policy"}


@pytest.mark.parametrize("kind", get_args(Entry), ids=lambda kind: kind.__struct_config__.tag)
def test_every_entry_of_the_ledger_is_told(kind: type[msgspec.Struct]) -> None:
    """With each thing that it has, or as another one."""
    (row,) = re.findall(rf"^\| `{kind.__struct_config__.tag}` \| (.+) \|$", LEDGER, re.MULTILINE)
    missing = [name for name in kind.__struct_fields__ if f"`{name}`" not in row]
    assert missing == [] or row.startswith("the same")


def test_the_architecture_page_lists_every_package() -> None:
    """`docs/explanation/architecture.md` has a row for each package and module of the top level."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(\w+)/?`", "".join(re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE))))
    source = ROOT / "src" / "avowal"
    packages = {path.parent.name for path in source.glob("*/__init__.py")}
    assert listed == packages | {path.stem for path in source.glob("*.py")} - {"__init__"}
