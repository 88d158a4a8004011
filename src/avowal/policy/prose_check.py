"""Compares the prose of a document with the terms: practices that only one of the two mentions.

The comparison looks for English words and does not understand the text, so each finding is a warning with a line.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from avowal.policy.bounds import OPERATOR, PROCESSOR, THIRD_PARTY, Bounds
from avowal.policy.document import Document

CHECKED_LANGUAGE = "en"

NEGATION = re.compile(
    r"\b(?:not|never|no|nor|neither|nobody|none|without|cannot|(?:do|does|did|wo|ca|is|are)n[\u2019']t)\b",
    re.IGNORECASE,
)
"""Words with which a sentence probably says that something is not done."""

_PARAGRAPH = re.compile(r"(?:[^\n]|\n(?!\s*\n))+")
_SENTENCE = re.compile(r"\S.*?(?:[.!?;:](?=\s)|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Practice:
    """A practice that a policy may mention: its name, a pattern of words for it, and whether terms declare it.

    With `mention_optional`, the document need not mention it although the terms declare it.
    """

    name: str
    pattern: str
    is_declared: Callable[[Bounds], bool]
    mention_optional: bool = False

    def find(self, text: str) -> re.Match[str] | None:
        """Return the first match of its words in a text."""
        return re.search(self.pattern, text, re.IGNORECASE | re.DOTALL)


def _collects(*categories: str) -> Callable[[Bounds], bool]:
    return lambda bounds: not set(categories).isdisjoint(bounds.collected_categories)


def _uses(purpose: str) -> Callable[[Bounds], bool]:
    return lambda bounds: any(cell.purpose == purpose for cell in bounds.cells)


def _discloses(*grounds: str) -> Callable[[Bounds], bool]:
    return lambda bounds: any(cell.ground in grounds for cell in bounds.cells)


def _never(_: Bounds) -> bool:
    return False


PRACTICES = (
    Practice(
        "IP addresses",
        r"\bIP[ -]address|internet protocol|address\w* that .{0,20}(?:came|come)",
        _collects("ip-address"),
    ),
    Practice(
        "the time of visits and views",
        r"\btimes? (?:and|of)\b|\bwhen .{0,40}\b(?:visit|view)|date and time",
        _collects("visit-time", "view-time", "request-time"),
    ),
    Practice(
        "the duration of visits and views",
        r"\bduration|\bhow long\b(?! (?:we|it is|they are) ke)",
        _collects("visit-duration", "view-duration"),
    ),
    Practice("the pages that are viewed", r"\bpages?\b", _collects("page-path", "view-time")),
    Practice(
        "what stands behind a page's question mark",
        r"\bquer(?:y|ies)\b|question mark",
        _collects("page-query"),
        mention_optional=True,
    ),
    Practice(
        "where visitors come from",
        r"\breferr(?:er|ing|al)|(?:visitor|you) came from|previous page",
        _collects("referrer"),
    ),
    Practice("browsers", r"\bbrowser", _collects("browser")),
    Practice("operating systems", r"\boperating systems?", _collects("operating-system")),
    Practice("devices", r"\bdevices?\b|computer system|mobile phone", _collects("device-kind")),
    Practice("locations", r"\b(?:geo)?location|\bcountr(?:y|ies)\b|\bcity\b", _collects("country")),
    Practice("cookies", r"\bcookies?\b", lambda bounds: any(cell.cookie_name for cell in bounds.cells)),
    Practice(
        "protection against floods",
        r"\bflood|\bDDOS\b|denial[ -]of[ -]service",
        lambda bounds: any(cell.cookie_name and cell.recipient == THIRD_PARTY for cell in bounds.cells),
    ),
    Practice(
        "third parties",
        r"\bthird[ -]part(?:y|ies)|service providers?|\bcontractors?\b|\bpartners\b|(?:to|let|works? with) others",
        lambda bounds: any(cell.recipient not in {OPERATOR, THIRD_PARTY} for cell in bounds.cells),
    ),
    Practice(
        "work that others do under a contract",
        r"\bcontract|on (?:our|its) behalf|works? for us",
        lambda bounds: any(cell.recipient == PROCESSOR for cell in bounds.cells),
    ),
    Practice("disclosure that a visitor authorised", r"\bauthori[sz]", _discloses("authorised")),
    Practice(
        "what a function needs that was asked for",
        r"\bfunctions? requested|asked for\b",
        _discloses("requested-function"),
    ),
    Practice("fraud and abuse", r"\bfraud|\babuse|\bmisuse|\bspam\b", _uses("abuse")),
    Practice(
        "what the law requires",
        r"\blaws?\b|\blegal|\bcourt",
        _discloses("instrument", "legal-rights", "rights-and-safety"),
    ),
    Practice("availability", r"\bavailab|be reached|\buptime", _uses("availability")),
    Practice("performance", r"\bperformance\b|\bfast\b|\bspeed", _uses("performance")),
    Practice("the content of the site", r"\bcontent\b", _uses("content")),
    Practice(
        "how long information is kept",
        r"\bretain|\bretention|\bkeeps?\b.{0,60}\b(?:day|month|year)s?\b|\b(?:kept|stored|deleted)\b.{0,60}\b(?:day|month|year)s?\b"
        r"|\bafter \w+ (?:day|month|year)s?\b|\b\d+ (?:day|month|year)s\b",
        lambda bounds: any(
            age is not None
            for name in bounds.collected_categories
            for age in bounds.retention_ages(name).values()
        ),
    ),
    Practice("advertising", r"\badvertis|\bads\b|\bmarketing|\bretarget|\bpromotional", _never),
    Practice("selling information", r"\bsells?\b|\bsold\b|\bsale\b|\brent(?:s|ed)?\b", _never),
    Practice("profiles of persons", r"\bprofil(?:es?|ing)\b|automated decision", _never),
    Practice(
        "e-mail and postal addresses",
        r"\be-?mail address|\bpostal address|\bphone number|\bnewsletter",
        _collects("email-address", "postal-address", "telephone-number"),
    ),
    Practice(
        "what people write to the site",
        r"\bcontact form|\bforms? (?:that )?you (?:fill|send|submit)|\bmessages? (?:that )?you"
        r"|\byou (?:write|submit|send us)\b",
        _collects("message", "answer", "person-name", "uploaded-file"),
    ),
    Practice(
        "what is done on pages",
        r"\bclick(?:s|ed)?\b|\blinks? (?:that )?you (?:follow|open)|\binteract",
        _collects("download", "outbound-link", "upload", "named-event"),
    ),
    Practice(
        "how pages fare in browsers",
        r"\bweb vitals\b|\bscript errors?\b|\berrors (?:of|in) (?:the |its )?scripts"
        r"|\bhow (?:soon|fast) (?:a |the )?pages? (?:show|appear|load)",
        _collects("web-vitals", "script-errors", "not-found"),
    ),
    Practice("payments", r"\bpayments?\b|\bcredit card|\bbilling", _never),
)
"""The practices that are looked for. Terms never declare those that the vocabulary has no words for."""


def find_prose_mismatches(document: Document, bounds: Bounds) -> list[str]:
    """Return a sentence for each practice that the document mentions and the terms do not declare, and the reverse."""
    if document.language.partition("-")[0] != CHECKED_LANGUAGE:
        return [f"the document in `{document.language}` is not compared with the terms: only English is"]
    undeclared, unmentioned = [], []
    sentences = list(_find_sentences(document))
    for practice in PRACTICES:
        places = [
            (line + text.count("\n", 0, match.start()), text)
            for line, text in sentences
            if (match := practice.find(text))
        ]
        if practice.is_declared(bounds):
            if not places and not practice.mention_optional:
                unmentioned.append(practice.name)
        else:
            undeclared += [(line, practice.name) for line, text in places if not NEGATION.search(text)]
    findings = [
        f"the document in `{document.language}`, line {line}, speaks of {name}, which the terms do not declare"
        for line, name in sorted(undeclared)
    ]
    return findings + [
        f"the terms declare {name}; the document in `{document.language}` never speaks of it"
        for name in unmentioned
    ]


def _find_sentences(document: Document) -> Iterator[tuple[int, str]]:
    """Yield each sentence of the prose with the number of its first line in the file."""
    before = document.text.count("\n") - document.body.count("\n") + 1
    for paragraph in _PARAGRAPH.finditer(document.body):
        for sentence in _SENTENCE.finditer(paragraph[0]):
            place = paragraph.start() + sentence.start()
            yield before + document.body.count("\n", 0, place), sentence[0]
