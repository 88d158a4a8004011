"""The identifier in the site's own cookie."""

from datetime import datetime

from avowal.collect.admission import AdmissionRules
from avowal.collect.cookie import IDENTIFIER_PATTERN, issue_cookie

PROMISE = AdmissionRules(1, {}, datetime.min, datetime.max, {"unless-refused": 86_400})


def test_an_identifier_is_no_option_of_a_command() -> None:
    """Whoever gives it to `avowal visitor show` is understood: it never begins with a dash. None comes twice."""
    found = {issue_cookie(PROMISE).identifier for _ in range(1_000)}
    assert len(found) == 1_000
    assert all(IDENTIFIER_PATTERN.fullmatch(one) and one[0].isalpha() for one in found)
