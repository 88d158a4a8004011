"""What holds for all tests."""

from hypothesis import settings

settings.register_profile("avow", deadline=None)  # no test is timed
settings.load_profile("avow")
