"""The style that no linter keeps: how long functions and files may be."""

import ast
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "src" / "avowal"
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
FUNCTION_LINES_LONGEST = 53
"""The longest function there is. This number may only go down: whoever shortens it writes the new one here."""
FILE_LINES_LONGEST = 390
"""The longest file there is; likewise."""

SLACK_LINES = 15
"""How far the longest may fall below its number before the number has to follow."""


def lengths() -> tuple[dict[str, int], dict[str, int]]:
    functions, files = {}, {}
    for path in sorted(SOURCES.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        files[str(path.relative_to(SOURCES))] = len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                functions[f"{path.relative_to(SOURCES)}:{node.name}"] = node.end_lineno - node.lineno + 1
    return functions, files


def test_functions_and_files_stay_short() -> None:
    """No function is longer than 70 lines, no file than 500, and the longest of each only gets shorter."""
    functions, files = lengths()
    for found, longest, most in (
        (functions, FUNCTION_LINES_LONGEST, FUNCTION_LINES_MAX),
        (files, FILE_LINES_LONGEST, FILE_LINES_MAX),
    ):
        name = max(found, key=found.__getitem__)
        assert found[name] <= most, f"{name} has {found[name]} lines"
        assert found[name] <= longest, f"{name} has grown to {found[name]} lines: shorten it"
        assert longest - found[name] <= SLACK_LINES, (
            f"the longest is {name} now, of {found[name]} lines: write that"
        )
