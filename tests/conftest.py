"""What holds for all tests."""

from hypothesis import settings

settings.register_profile("avowal", deadline=None)  # no test is timed
settings.load_profile("avowal")
