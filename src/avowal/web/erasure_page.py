"""The page that says what a visitor's erasure has deleted, with its receipt."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from avowal.policy.language import find_language
from avowal.policy.page import PageTable, render_template
from avowal.web.visitor_page import format_cell_value, relation_titles


def render_erasure_page(receipt: Mapping[str, Any], entry: int, language_tag: str, *, is_tab: bool) -> str:
    """Return the page that says what was erased, and has the receipt in it, which is stored nowhere.

    `is_tab` is whether the script views of one tab were erased, and not a visitor.
    """
    language = find_language(language_tag)
    say = language.translate
    text = msgspec.json.format(msgspec.json.encode(receipt), indent=2).decode() + "\n"
    titles = {
        **relation_titles(language),
        "consents": say("Consents"),
        "submissions": say("Submissions"),
        "authorisations": say("Authorisations"),
    }
    counts = msgspec.to_builtins(receipt["erased"])
    rows = [(titles[name], f"{counts[name]:,}") for name in titles if counts[name]]
    return render_template(
        "visitor_erased.html",
        language.tag,
        package="avowal.web",
        is_tab=is_tab,
        time=format_cell_value("erased_at", receipt["erased_at"], language),
        table=PageTable(say("What we deleted"), (say("what"), say("records")), rows),
        entry=entry,
        receipt=text,
        receipt_url=f"data:application/json;base64,{b64encode(text.encode()).decode()}",
    )
