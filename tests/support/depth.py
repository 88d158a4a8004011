"""How thorough a run of the tests is: `quick` while one writes, `standard` before a change lands, `thorough` from time to time.

The name is that of the Hypothesis profile: `pytest --hypothesis-profile thorough`.
"""

from hypothesis import settings

PROFILES = {"quick": 20, "standard": 100, "thorough": 400}
"""How many examples a property has that does not say it itself."""


def is_thorough() -> bool:
    """Return whether the run takes the time that it needs."""
    return settings.get_current_profile_name() == "thorough"


def by_depth(*, standard: int, thorough: int, quick: int | None = None) -> int:
    """Return a number by how thorough the run is; a quick one has an eighth of the standard unless given."""
    numbers = {"quick": quick or max(standard // 8, 5), "thorough": thorough}
    return numbers.get(settings.get_current_profile_name(), standard)
