"""The settings of other programs that the manual shows, as tests run them."""

from itertools import takewhile
from pathlib import Path

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"


def read_snippet(section: str, after: str) -> str:
    """Return the indented lines that follow the first line with `after` in a section of the manual."""
    text = OPERATING.read_text(encoding="utf-8").partition(f"\n{section}\n")[2]
    lines = text.partition(after)[2].splitlines()[1:]
    block = list(takewhile(lambda line: not line or line.startswith("    "), lines))
    assert any(block), f"the manual has no settings after `{after}`"
    return "\n".join(block)
