"""Settings of all tests."""

import gc

from hypothesis import settings

# A busy machine is no reason to fail.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


def pytest_sessionstart() -> None:
    """Importing the tests leaves 600,000 objects and no garbage: looking for it takes a third of that time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """These objects stay until the end, so the search for garbage leaves them out from now on. It is rarer, too: most
    tests make none.
    """
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()
