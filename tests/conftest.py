"""Hypothesis judges what is generated, not how fast: a machine may be busy.

Profile ``fast``: at most 25 examples a test. Profile ``ci``, where the variable CI is set: as many
as the test says, 100 by default. Both generate the same examples in every run, so that a change is
judged by what it changed. Profile ``explore``, by RANKLOOM_TEST_EXPLORE=N: N random examples.
"""

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

from tests.dask_cluster import dask_client, in_one_process

__all__ = ["dask_client"]
LONG_FILES = {"service", "distributed", "log_follower", "store", "test_auto.py"}
"""Folders and files whose tests start processes or train many models."""
MAX_FAST_EXAMPLES = 25
EXPLORED = int(os.environ.get("RANKLOOM_TEST_EXPLORE", "0"))
PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
SAME = {**PATIENT, "derandomize": True, "database": None}
settings.register_profile("ci", **SAME)
settings.register_profile("fast", **SAME, max_examples=MAX_FAST_EXAMPLES)
settings.register_profile("explore", **PATIENT, max_examples=EXPLORED or 100)
PROFILE = "explore" if EXPLORED else "ci" if os.environ.get("CI") else "fast"
settings.load_profile(PROFILE)


def pytest_collection_finish():
    """Keep what all tests import out of every later collection of garbage."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure():
    """Let extensions that look for leaks at the end find none."""
    gc.unfreeze()


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest: the last ones decide when all workers are done."""
    items.sort(key=lambda item: LONG_FILES.isdisjoint(item.path.parts))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each process whole files, and one of them all files that use the Dask cluster."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "dask" if in_one_process(nodeid) else super()._split_scope(nodeid)

    return Scheduling(config, log)


def pytest_itemcollected(item):
    """Let the profile's number of examples also hold for the tests that state their own."""
    own = getattr(getattr(item, "obj", None), "_hypothesis_internal_use_settings", None)
    if own and PROFILE != "ci":
        examples = EXPLORED or min(own.max_examples, MAX_FAST_EXAMPLES)
        item.obj._hypothesis_internal_use_settings = settings(own, max_examples=examples)
