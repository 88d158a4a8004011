"""What a draft has to pass before it is adopted or published: its placeholders and the findings of its prose (V9)."""

import re
from collections.abc import Iterator

from avowal.change.publish import VersionDraft
from avowal.errors import RefusedError
from avowal.policy.prose_check import ProseCheck, hash_checks

TEMPLATE_CONTROLLER = "The operator of this website"
TEMPLATE_CONTACT = "privacy@example.org"
"""The values of the policies that come with Avowal."""
_PLACEHOLDER_COMMENT = re.compile(r"#\s*placeholder\b", re.IGNORECASE)
ACKNOWLEDGEMENT_LENGTH_MIN = 12
"""How many digits of the hash an acknowledgement has at least."""


def require_no_placeholders(draft: VersionDraft) -> None:
    """Raise RefusedError if the draft still has a value of the template, which is nobody's promise."""
    if problem := next(find_placeholders(draft), ""):
        raise RefusedError(
            f"the terms still have a placeholder: {problem}",
            "write what is true of your site, and take the comment `# placeholder` away",
            code="placeholder",
        )


def find_placeholders(draft: VersionDraft) -> Iterator[str]:
    """Yield a description of each value that is still that of the template."""
    if draft.terms.controller.strip() == TEMPLATE_CONTROLLER:
        yield f"`controller` is `{TEMPLATE_CONTROLLER}`"
    if draft.terms.contact.strip() == TEMPLATE_CONTACT:
        yield f"`contact` is `{TEMPLATE_CONTACT}`"
    for number, line in enumerate(draft.terms_text.splitlines(), 1):
        if _PLACEHOLDER_COMMENT.search(line):
            yield f"line {number}, `{line.partition('#')[0].strip()}`"
    for document in draft.documents.values():
        if document.language in draft.terms.languages and TEMPLATE_CONTACT in document.body:
            yield f"the document in `{document.language}` has `{TEMPLATE_CONTACT}`"


def require_acknowledgement(draft: VersionDraft, acknowledged: str, recorded: list[ProseCheck]) -> None:
    """Raise RefusedError if the prose has findings and `acknowledged` is not the hash of their list.

    `recorded` is the list that was acknowledged for the same version before; it needs no second acknowledgement.
    """
    checks = draft.check_prose()
    findings = [finding for check in checks for finding in check.findings]
    if not findings or checks == recorded:
        return
    expected = hash_checks(checks)
    if len(acknowledged) >= ACKNOWLEDGEMENT_LENGTH_MIN and expected.startswith(acknowledged.lower()):
        return
    more = f", and {len(findings) - 1} more" if len(findings) > 1 else ""
    begin = (
        "the acknowledgement is not that of the findings" if acknowledged else "the documents have findings"
    )
    raise RefusedError(
        f"{begin}: {findings[0]}{more}",
        "correct the document or the terms (`avowal policy check` lists all findings), or acknowledge them, which the "
        f"page will show: `--acknowledge {expected[:ACKNOWLEDGEMENT_LENGTH_MIN]}`",
        code="findings-unacknowledged",
    )
