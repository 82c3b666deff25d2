"""Settings of all tests."""

from hypothesis import settings

# A busy machine is no reason to fail.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")
