"""Escape characters that would control the terminal, or that it would not show."""

import re

UNPRINTABLE = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u2064\u2066-\u206f\ud800-\uf8ff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f\U000f0000-\U0010ffff]"
)
"""Characters that control a terminal or the direction of text, or that have no agreed form; not tab and newline."""


def escape_unprintable(text: str) -> str:
    """Write unprintable characters as the escapes that JSON has for them, a backslash with `u` and four digits."""
    return UNPRINTABLE.sub(_escape_character, text)


def _escape_character(match: re.Match[str]) -> str:
    digits = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{digits[index : index + 4]}" for index in range(0, len(digits), 4))
