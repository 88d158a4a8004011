"""The page that tells everybody how often something was released, on which grounds."""

from avowal.clock import utc_now
from avowal.disclose.statistics import as_range, counted
from avowal.policy.bounds import Bounds
from avowal.policy.language import language
from avowal.policy.page import Facts, rendered
from avowal.register.register import Register


def page(register: Register, terms: Bounds, controller: str, tag: str) -> str:
    """Return the page, in a language; numbers that are smaller than the terms let a group be are ranges."""
    spoken, now = language(tag), utc_now()
    say, smallest = spoken.say, terms.duties.get("smallest-group", 1)
    rows = [
        (
            one.period,
            spoken.word("ground", one.ground),
            *(as_range(count, smallest) for count in (one.released, one.recalled, one.refused)),
        )
        for one in counted(register, now)
    ]
    headings = (say("quarter"), say("because"), say("released"), say("recalled"), say("refused"))
    table = Facts(say("How often something was released"), headings, rows)
    return rendered(
        "disclosures.html",
        spoken.tag,
        room="avowal.web",
        controller=controller,
        table=table,
        day=spoken.day(now.date()),
    )
