from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(params=[0, 1, 2])
def lists(request):
    """Return what three channels found: overlapping, of different lengths and scales."""
    generator = np.random.default_rng(request.param)
    names = [f"d{i:03d}" for i in range(40)]
    return {
        uri: [
            (str(name), float(np.float32(scale * generator.gamma(2))))
            for name in generator.choice(names, length, replace=False)
        ]
        for uri, scale, length in (("image", 0.1, 12), ("text", 9.0, 25), ("tags", 1.0, 18))
    }


@pytest.fixture
def weights():
    return {"text": 0.5, "tags": 0.3, "image": 0.2}
