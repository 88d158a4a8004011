"""The identifier in the site's cookie."""

from datetime import datetime

from avowal.collect.admission import AdmissionRules
from avowal.collect.cookie import IDENTIFIER_PATTERN, issue_cookie

RULES = AdmissionRules(1, {}, datetime.min, datetime.max, {"unless-refused": 86_400})


def test_an_identifier_never_looks_like_a_command_option() -> None:
    """An identifier begins with a letter, never with a dash, and is unique."""
    identifiers = {issue_cookie(RULES).identifier for _ in range(1_000)}
    assert len(identifiers) == 1_000
    assert all(
        IDENTIFIER_PATTERN.fullmatch(identifier) and identifier[0].isalpha() for identifier in identifiers
    )
