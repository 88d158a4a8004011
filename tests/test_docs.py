"""The docs hold what the program has."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import typer.main

from avow import errors
from avow.cli.main import app
from avow.collect.record import Reason
from avow.config import Settings
from avow.use.reports import REPORTS

ROOT = Path(__file__).parent.parent
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
HEADINGS = set(re.findall(r"^#+ (.+)$", REFERENCE, re.MULTILINE))
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def commands() -> Iterator[tuple[str, set[str]]]:
    """Give each command with its options."""
    root = typer.main.get_command(app)
    for name, command in getattr(root, "commands", {}).items():
        for words, one in [(f"{name} {sub}", c) for sub, c in getattr(command, "commands", {}).items()] or [
            (name, command)
        ]:
            yield (
                words,
                {word for option in one.params for word in option.opts if word.startswith("--")} - {"--help"},
            )


def settings(kind: type[msgspec.Struct], before: str = "") -> Iterator[str]:
    """Give the dotted name of each setting."""
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from settings(field.type, f"{before}{field.name}.")
        else:
            yield before + field.name


@pytest.mark.parametrize(("name", "options"), list(commands()))
def test_every_command_has_its_heading_and_its_options(name: str, options: set[str]) -> None:
    """A command without a heading, or with an option that its section does not name, fails."""
    assert f"avow {name}" in HEADINGS
    section = REFERENCE.partition(f"## avow {name}\n")[2].partition("\n## ")[0]
    assert {option for option in options if f"`{option}`" not in section} == set()


@pytest.mark.parametrize("name", list(settings(Settings)))
def test_every_setting_has_its_heading(name: str) -> None:
    """A setting without a heading fails."""
    assert name in HEADINGS


@pytest.mark.parametrize("name", [*(reason.value for reason in Reason), *REPORTS])
def test_every_reason_and_report_has_its_heading(name: str) -> None:
    """A reason why a line became no record, or a report, without a heading fails."""
    assert name in HEADINGS


def test_every_table_of_a_report_is_named() -> None:
    """A table that the reference does not name fails."""
    assert [
        table for report in REPORTS.values() for table in report.tables if f"`{table}`" not in REFERENCE
    ] == []


def test_the_tree_of_errors_is_whole() -> None:
    """Each error stands in the tree, and each in the tree is one."""
    raised = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert set(re.findall(r"\b(\w+Error)\b", errors.__doc__ or "")) == raised


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link to a file that is not there fails."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_readme_names_commands_that_exist() -> None:
    """A command in the README that the program does not have fails."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(
        re.findall(
            r"avow (init|import|report|follow|policy|[a-z]+)\b",
            "\n".join(re.findall(r"```\n(.*?)```", text, re.DOTALL)),
        )
    )
    assert named <= {words.split()[0] for words, _ in commands()}
