"""The page that says what a visitor's erasure has deleted, with its receipt."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from avowal.policy.language import find_language
from avowal.policy.page import render_template
from avowal.web.visitor_page import build_erasure_table, format_cell_value


def render_erasure_page(receipt: Mapping[str, Any], entry: int, language_tag: str, *, is_tab: bool) -> str:
    """Return the page that says what was erased, and has the receipt in it, which is stored nowhere.

    `is_tab` is whether the script views of one tab were erased, and not a visitor.
    """
    language = find_language(language_tag)
    text = msgspec.json.format(msgspec.json.encode(receipt), indent=2).decode() + "\n"
    return render_template(
        "visitor_erased.html",
        language.tag,
        package="avowal.web",
        is_tab=is_tab,
        time=format_cell_value("erased_at", receipt["erased_at"], language),
        table=build_erasure_table(msgspec.to_builtins(receipt["erased"]), language),
        entry=entry,
        receipt=text,
        receipt_url=f"data:application/json;base64,{b64encode(text.encode()).decode()}",
    )
