"""A retriever service that fuses by what it watches: `python watcher_process.py STATE NAMESPACE`.

It reads a line of JSON for every request, and writes a line with the weights.
"""

import json
import sys

from rankloom.bandit import FusionWeights, open_store


def answer(weights, channels):
    """Serve the requests of stdin."""
    for line in sys.stdin:
        served = weights.sample(**json.loads(line))
        assert list(served) == channels
        facts = {"policy": served.policy, "snapshot_id": served.snapshot_id}
        sys.stdout.write(json.dumps({"weights": dict(served), **facts}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    state, namespace, *uris = sys.argv[1:]
    with (
        open_store(state, namespace=namespace, retriever_id="r") as store,
        FusionWeights.watch(store, uris, every=0.05) as watched,
    ):
        answer(watched, uris)
