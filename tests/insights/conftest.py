"""A planted world and its searches, which tests of queries and documents share."""

import pytest

from rankloom.insights import read_searches
from tests.insights.planted_world import EXAMINATION, simulate_world


@pytest.fixture(scope="session")
def world():
    return simulate_world(12_000, seed=1)


@pytest.fixture(scope="session")
def searches(world):
    return read_searches(world.log, features=world.features, examination=EXAMINATION)
