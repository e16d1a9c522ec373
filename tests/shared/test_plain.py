import json

import numpy as np

from rankloom._shared.plain import plain


def test_every_nested_value_becomes_what_json_holds():
    value = {
        1: np.float32(0.5),
        "rows": (np.arange(2), {np.int64(3)}, [np.bool_(1)]),
        "nan": [float("nan"), np.inf, np.array([1.0, -np.inf])],
        "text": "nan",
    }
    expected = (
        '{"1": 0.5, "rows": [[0, 1], [3], [true]], "nan": [null, null, [1.0, null]], "text": "nan"}'
    )
    assert json.dumps(plain(value), allow_nan=False) == expected
