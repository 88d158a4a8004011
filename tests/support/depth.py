"""The depth of a test run: `quick` while writing, `standard` before a change lands, `thorough` from time to time.

The depth is the Hypothesis profile: `pytest --hypothesis-profile thorough`.
"""

from hypothesis import settings

PROFILES = {"quick": 20, "standard": 100, "thorough": 400}
"""The default number of examples of a property."""


def is_thorough() -> bool:
    """Return whether this is a thorough run."""
    return settings.get_current_profile_name() == "thorough"


def by_depth(*, standard: int, thorough: int, quick: int | None = None) -> int:
    """Return the number for the depth of this run; by default a quick run has an eighth of the standard."""
    numbers = {"quick": quick or max(standard // 8, 5), "thorough": thorough}
    return numbers.get(settings.get_current_profile_name(), standard)
