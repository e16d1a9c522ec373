"""CLAX's PBM and UBM on a log of click_models.py, run by an interpreter that has clax-models.

usage: click_models_clax.py LOG.npz
prints, as its last line, one JSON row a model
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from clax import PositionBasedModel, Trainer, UserBrowsingModel
from clax.metrics import ConditionalPerplexity, Perplexity
from flax import nnx
from optax import adamw

BATCH = 1024


def batches(document: np.ndarray, clicked: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Cut a log into batches of one size; the rest beyond the last whole one is left out."""
    position = np.tile(np.arange(1, document.shape[1] + 1), (BATCH, 1))
    return [
        {
            "query_doc_ids": document[start : start + BATCH],
            "positions": position,
            "clicks": clicked[start : start + BATCH].astype(np.float32),
            "mask": np.ones(position.shape, dtype=np.bool_),
        }
        for start in range(0, len(document) - BATCH + 1, BATCH)
    ]


def result(name: str, model: Any, train: list, test: list) -> dict[str, Any]:
    """Train as the README does and return one row; the time holds the compilation of its steps."""
    trainer = Trainer(optimizer=adamw(0.003), epochs=50)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        began, used = time.perf_counter(), time.process_time()
        epochs = len(trainer.train(model, train, test))
        seconds, processor = time.perf_counter() - began, time.process_time() - used
        metrics = {"ppl": Perplexity(), "cond_ppl": ConditionalPerplexity()}
        found = trainer.test_clicks(model, test, metrics)
    return {
        "name": name,
        "version": version("clax-models"),
        "epochs": epochs,
        "median_seconds": seconds,
        "seconds": [seconds],
        "processor_seconds": [processor],
        "perplexity": float(found["test_cond_ppl"].iloc[0]),
        "marginal_perplexity": float(found["test_ppl"].iloc[0]),
    }


def main() -> None:
    """Fit both models on the log."""
    with np.load(sys.argv[1]) as log:
        train = batches(log["document"], log["clicked"])
        test = batches(log["test_document"], log["test_clicked"])
        documents = int(max(log["document"].max(), log["test_document"].max())) + 1
        shown = log["document"].shape[1]
    rngs = nnx.Rngs(0)
    models = {
        "CLAX PBM": PositionBasedModel(positions=shown + 1, query_doc_pairs=documents, rngs=rngs),
        "CLAX UBM": UserBrowsingModel(positions=shown, query_doc_pairs=documents, rngs=rngs),
    }
    print(json.dumps([result(name, model, train, test) for name, model in models.items()]))


if __name__ == "__main__":
    main()
