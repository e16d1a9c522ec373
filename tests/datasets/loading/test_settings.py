"""The calls that build pairs take the same parameters, with the same defaults."""

import inspect

import pytest

from rankloom.datasets import load_pairs
from rankloom.datasets.loading.settings import LoadSettings
from rankloom.datasets.spark import build_pairs

NOT_IN_SPARK = {"drop_bots", "on_error", "quarantine"}
"""What concerns the driver, and what `SparkPairs` has."""


@pytest.mark.parametrize(("call", "without"), [(load_pairs, set()), (build_pairs, NOT_IN_SPARK)])
def test_parameters_of_rows_and_executions_are_the_same_everywhere(call, without):
    own, checked = (inspect.signature(each).parameters for each in (call, LoadSettings.of))
    expected = checked.keys() - without - {"has_impressions"}
    assert expected <= own.keys()
    for name in expected:
        assert own[name].default == checked[name].default, name
        assert own[name].annotation == checked[name].annotation, name
