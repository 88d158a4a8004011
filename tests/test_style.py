"""Style rules that no linter checks: the lengths of functions and files, and the imports of tests."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent
SOURCES = Path(__file__).parent.parent / "src" / "avowal"
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
FUNCTION_LINES_LONGEST = 53
"""Lines of the longest function. This number only goes down: when you shorten that function, write the new one."""
FILE_LINES_LONGEST = 375
"""Lines of the longest file. This number only goes down too."""

TEXT_SUFFIXES = frozenset({".py", ".md", ".sql", ".toml", ".html", ".js", ".css", ".po"})

SLACK_LINES = 15
"""Lines by which a number above may exceed the true one."""


def measure_lengths() -> tuple[dict[str, int], dict[str, int]]:
    functions, files = {}, {}
    for path in sorted(SOURCES.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        files[str(path.relative_to(SOURCES))] = len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                functions[f"{path.relative_to(SOURCES)}:{node.name}"] = node.end_lineno - node.lineno + 1
    return functions, files


def test_functions_and_files_stay_short() -> None:
    """No function is longer than 70 lines and no file longer than 500; the longest of each only gets shorter."""
    functions, files = measure_lengths()
    for lengths, longest, most in (
        (functions, FUNCTION_LINES_LONGEST, FUNCTION_LINES_MAX),
        (files, FILE_LINES_LONGEST, FILE_LINES_MAX),
    ):
        name = max(lengths, key=lengths.__getitem__)
        assert lengths[name] <= most, f"{name} has {lengths[name]} lines"
        assert lengths[name] <= longest, f"{name} has grown to {lengths[name]} lines: shorten it"
        assert longest - lengths[name] <= SLACK_LINES, (
            f"the longest is {name} now, of {lengths[name]} lines: write that"
        )


def test_no_file_has_marks_of_a_merge() -> None:
    """No source, test or document has the marks that Git leaves where two changes meet."""
    roots = (SOURCES, TESTS, SOURCES.parent.parent / "docs")
    paths = [path for root in roots for path in root.rglob("*") if path.suffix in TEXT_SUFFIXES]
    marks = tuple(sign * 7 + " " for sign in "<>")
    found = {
        str(path) for path in paths for line in path.read_text("utf-8").splitlines() if line.startswith(marks)
    }
    assert not found


def test_no_test_file_imports_another() -> None:
    """No test file imports another: what two of them share is in `tests/support`."""
    files = {path.stem for path in TESTS.rglob("test_*.py")} | {"conftest"}
    imports = [
        f"{path.relative_to(TESTS)} imports {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in imported_modules(node)
        if files & set(name.split("."))
    ]
    assert imports == []


def imported_modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the modules that an import statement names, including `from package import module`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module or ''}.{alias.name}" for alias in node.names]
