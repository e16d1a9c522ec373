"""The URL of a log that does not exist yet, and what a log holds."""

import pytest

from rankloom.datasets import InteractionLog


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/log.db"


@pytest.fixture
def ids_in():
    """Return the sorted interaction ids of a log."""

    def ids(url, namespace="default"):
        with InteractionLog(url, namespace=namespace) as log:
            return sorted(
                name for frame in log.scan() for name in frame["interaction_id"].to_list()
            )

    return ids
