"""Where the trees of a ranker are grown: in this process where the rows fit, else on Dask."""

from __future__ import annotations

import re
import sys
import warnings
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.threads import load_lightgbm
from ...datasets.distributed.cluster import connected, import_distributed
from ...errors import ClusterError, InvalidInputError
from ..boosting.dataset import neutral_names
from ..boosting.trainer import refusals
from .partitions import Partition, check_outlines, outlines, whole_lists
from .workers import StuckWorkersError, Watch, addresses, own_client, restart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import lightgbm
    from distributed import Client

    from ..boosting.dataset import TrainingData

NODE_LIMIT: Final = 1_000_000_000
"""Values (rows times features) up to which trees are grown in one process: 4 GB as float32, and
1 GB as LightGBM's bins."""

MAX_ATTEMPTS: Final = 2

_NETWORK_PARAMETER = re.compile(
    r"^\[(machines|num_machines|local_listen_port): .*\]$", re.MULTILINE
)
_DEFAULTS = {"machines": "", "num_machines": "1", "local_listen_port": "12400"}


@dataclass(frozen=True)
class DaskTrees:
    """Grows the trees of a final model on the workers of a client, if they do not fit here.

    Attributes
    ----------
    client : distributed.Client or str
        Or the address of a scheduler.
    node_limit : int
        Values (rows times features) up to which trees are grown in this process.
    max_attempts : int
        Trainings that are begun at most, when workers are lost.
    """

    client: Client | str
    node_limit: int = NODE_LIMIT
    max_attempts: int = MAX_ATTEMPTS

    def __post_init__(self) -> None:
        """Check both."""
        _check_client(self.client)
        limit = self.node_limit
        if isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 0:
            msg = f"node_limit: expected a whole number of values >= 0, got {limit!r}"
            raise InvalidInputError(msg)

    def fit_here(self, data: TrainingData) -> bool:
        """Whether the rows fit one process."""
        return data.X.size <= self.node_limit

    def size_note(self, data: TrainingData) -> str:
        """Say where the trees are grown, and why."""
        rows, features = data.X.shape
        size = f"{rows:,} rows x {features} features = {data.X.size:,} values"
        if self.fit_here(data):
            return (
                f"{size}, at most node_limit={self.node_limit:,}: trees were grown in one process"
            )
        return f"{size}, more than node_limit={self.node_limit:,}: trees were grown on Dask"

    def grow(
        self,
        data: TrainingData,
        params: Mapping[str, Any],
        names: Sequence[str],
        categorical: Sequence[str],
        notes: list[str],
    ) -> lightgbm.Booster:
        """Train on all workers; say in `notes` on how many, and if the training was repeated.

        `names`, `categorical`: real feature names, and which of them are categorical. `params`:
        LightGBM's, under their main names. `num_threads` is left to Dask: every worker uses as
        many threads as Dask gave it. LightGBM listens on a free port of every worker, on all of
        its network interfaces, as long as it trains.

        Raises ClusterError if workers were lost in every attempt, InvalidInputError if
        LightGBM refuses the data or the parameters.
        """
        _check_params(params)
        with connected(self.client) as client:
            for _ in range(self.max_attempts - 1):
                try:
                    return _attempt(client, data, params, names, categorical, notes)
                except StuckWorkersError:
                    raise
                except ClusterError as error:
                    notes.append(f"{error}; the training was begun anew")
            return _attempt(client, data, params, names, categorical, notes)


def _attempt(
    client: Client,
    data: TrainingData,
    params: Mapping[str, Any],
    names: Sequence[str],
    categorical: Sequence[str],
    notes: list[str],
) -> lightgbm.Booster:
    workers = addresses(client)
    if not workers:
        msg = "client: the cluster has lost all of its workers"
        raise ClusterError(msg)
    training = None
    try:
        with own_client(client) as own:
            training = _Training(own, Watch(own, workers))
            training.send(data, int(params["seed"]))
            rows = training.checked(data.X.shape[1], params)
            booster = training.booster(params, names, categorical)
    except BaseException:
        if training is not None and training.begun:
            restart(client, training.watch.workers, len(workers))
        raise
    notes.append(
        f"trees were grown on {len(rows)} Dask worker{'s' if len(rows) > 1 else ''}, with "
        f"{min(rows):,} to {max(rows):,} rows each"
    )
    return booster


@dataclass
class _Training:
    """One training of LightGBM on partitions, each in the memory of its worker.

    `client`: its tasks are of this training alone.
    """

    client: Client
    watch: Watch
    partitions: list[Partition] = field(default_factory=list)
    begun: bool = False  # whether LightGBM may have connected the workers

    def send(self, data: TrainingData, seed: int) -> None:
        """Spread the data over the workers."""
        workers = self.watch.workers
        for part, worker in zip(whole_lists(data, len(workers), seed), workers, strict=False):
            sent = self.watch.result(partial(Partition.of, self.client, part, worker))
            self.partitions.append(sent)
            self.watch.held += sent.futures
        self.watch.workers = [each.worker for each in self.partitions]

    def checked(self, features: int, params: Mapping[str, Any]) -> list[int]:
        """Return the rows of each partition, after checking them where they are."""
        found = self.watch.result(lambda: outlines(self.client, self.partitions))
        check_outlines(found, features, params)
        return [each.rows for each in found]

    def booster(
        self, params: Mapping[str, Any], names: Sequence[str], categorical: Sequence[str]
    ) -> lightgbm.Booster:
        """Train, and watch the workers meanwhile: LightGBM waits for ever for one that is gone."""
        self.begun = True
        with _quiet(), refusals():
            model = self.watch.result(lambda: self._fit(params, names, categorical))
        return without_network(model.booster_)

    def _fit(
        self, params: Mapping[str, Any], names: Sequence[str], categorical: Sequence[str]
    ) -> Any:
        from lightgbm.dask import DaskLGBMRanker

        neutral = neutral_names(names)
        own = {name: value for name, value in params.items() if name != "num_threads"}
        parts = self.partitions
        weight = [each.weight for each in parts]
        with self.client.as_current():  # where LightGBM looks for one, in spite of its argument
            return DaskLGBMRanker(client=self.client, **own).fit(
                _array([each.X for each in parts], (np.nan, len(names))),
                _array([each.y for each in parts], (np.nan,)),
                group=_array([each.group for each in parts], (np.nan,)),
                sample_weight=None if None in weight else _array(weight, (np.nan,)),
                feature_name=neutral,
                categorical_feature=[neutral[list(names).index(n)] for n in categorical] or "auto",
            )


def _array(parts: Sequence[Any], shape: tuple[float, ...]) -> Any:
    """Return futures of arrays as the blocks of one Dask array; their lengths are not looked at."""
    import dask.array as da
    from dask.delayed import delayed

    blocks = [
        da.from_delayed(delayed(each), shape, dtype=np.float32)  # type: ignore[no-untyped-call]
        for each in parts
    ]
    return da.concatenate(blocks, allow_unknown_chunksizes=True)  # type: ignore[no-untyped-call]


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave stdout to the caller, and drop the warning that the threads are Dask's."""
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.filterwarnings("ignore", "Parameter n_jobs will be ignored", UserWarning)
        yield


def without_network(booster: lightgbm.Booster) -> lightgbm.Booster:
    """Return the model without the addresses of the workers that trained it."""
    load_lightgbm()
    import lightgbm

    text = booster.model_to_string()
    trees, mark, parameters = text.partition("\nparameters:")
    parameters = _NETWORK_PARAMETER.sub(lambda m: f"[{m[1]}: {_DEFAULTS[m[1]]}]", parameters)
    return lightgbm.Booster(model_str=trees + mark + parameters)


def _check_client(client: Any) -> None:
    if isinstance(client, import_distributed().Client) and client.asynchronous:
        msg = "client: expected a distributed.Client or an address, got an asynchronous one"
        raise InvalidInputError(msg)
    if not isinstance(client, str | import_distributed().Client):
        kind = type(client).__name__
        msg = f"client: expected a distributed.Client or the address of a scheduler, got {kind}"
        raise InvalidInputError(msg)


def _check_params(params: Mapping[str, Any]) -> None:
    """Refuse what would train a wrong model on rows that are spread over workers."""
    learner = str(params.get("tree_learner", "data"))
    if learner.startswith("feature"):
        msg = (
            f"params: tree_learner={learner!r} needs all rows on every worker; "
            "use 'data' or 'voting', or leave it out"
        )
        raise InvalidInputError(msg)
