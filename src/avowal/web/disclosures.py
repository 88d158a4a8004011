"""The page that says how often data was disclosed, and on which grounds."""

from avowal.clock import utc_now
from avowal.disclose.statistics import count_disclosures, format_count
from avowal.keep.enforcement import find_smallest_group
from avowal.policy.language import find_language
from avowal.policy.page import render_template
from avowal.policy.page_tables import PageTable
from avowal.register.register import Register


def render_disclosures_page(register: Register, controller: str, language_tag: str) -> str:
    """Return the page in a language; counts below the smallest group of any version are shown as ranges."""
    language, now = find_language(language_tag), utc_now()
    say, smallest_group = language.translate, find_smallest_group(register.versions())
    rows = [
        (
            disclosures.period,
            language.translate_word("ground", disclosures.ground),
            *(
                format_count(count, smallest_group)
                for count in (disclosures.released, disclosures.recalled, disclosures.refused)
            ),
        )
        for disclosures in count_disclosures(register, now)
    ]
    headings = (say("quarter"), say("legal ground"), say("released"), say("recalled"), say("refused"))
    return render_template(
        "disclosures.html",
        language.tag,
        package="avowal.web",
        controller=controller,
        table=PageTable(say("How often something was released"), headings, rows),
        day=language.format_day(now.date()),
    )
