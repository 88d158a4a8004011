"""The page that tells everybody how often something was released, on which grounds."""

from avowal.clock import utc_now
from avowal.disclose.statistics import count_disclosures, format_count
from avowal.policy.bounds import Bounds
from avowal.policy.language import find_language
from avowal.policy.page import PageTable, render_template
from avowal.register.register import Register


def render_disclosures_page(register: Register, bounds: Bounds, controller: str, language_tag: str) -> str:
    """Return the page, in a language; numbers that are smaller than the terms let a group be are ranges."""
    spoken, now = find_language(language_tag), utc_now()
    say, smallest = spoken.translate, bounds.duties.get("smallest-group", 1)
    rows = [
        (
            one.period,
            spoken.translate_word("ground", one.ground),
            *(format_count(count, smallest) for count in (one.released, one.recalled, one.refused)),
        )
        for one in count_disclosures(register, now)
    ]
    headings = (say("quarter"), say("because"), say("released"), say("recalled"), say("refused"))
    table = PageTable(say("How often something was released"), headings, rows)
    return render_template(
        "disclosures.html",
        spoken.tag,
        package="avowal.web",
        controller=controller,
        table=table,
        day=spoken.format_day(now.date()),
    )
