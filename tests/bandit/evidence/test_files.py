"""A state is the same after bytes, files and the rows of a store; damage is an error."""

import datetime as dt
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom._shared.ids import stable_id
from rankloom.bandit.evidence.evidence import Evidence
from rankloom.bandit.evidence.files import MAGIC
from rankloom.errors import IntegrityError, UnreadableSourceError

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
ARMS = ["text", "image", "audio"]
CONTEXTS = [(), ("segment", "de"), ("segment", "fr"), *(("user", f"u{i}") for i in range(4))]


def make_rows(n=300, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        features = {a: {"score": float(rng.random())} for a in ARMS if rng.random() < 0.5}
        rows.append(
            {
                "execution_id": f"e{rng.integers(30)}",
                "feature_id": f"d{rng.integers(8)}",
                "interaction_type": [["impression"], ["impression", "click"], ["skip"]][
                    rng.integers(3)
                ],
                "position": int(rng.integers(10)),
                "feature_uri": ARMS[rng.integers(3)],
                "user_id": f"u{rng.integers(4)}",
                "session_id": f"s{rng.integers(9)}",
                "timestamp": (NOON + float(rng.uniform(0, 20)) * DAY).isoformat(),
                "metadata": {
                    "country": ["de", "fr"][rng.integers(2)],
                    "features": features,
                    "fusion": {"weights": {a: float(rng.random()) for a in ARMS}},
                },
            }
        )
    return rows


def make_evidence(rows=None, **settings):
    evidence = Evidence(
        ARMS,
        **{"segment_by": ["country"], "rewards": {"click": 2.0, "nod": 0.1}, **settings},
    )
    evidence.update(make_rows() if rows is None else rows)
    return evidence


def assert_same(left, right):
    for name in ("N", "S", "F", "Q", "A", "b"):
        ours, theirs = getattr(left.sums(CONTEXTS), name), getattr(right.sums(CONTEXTS), name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-300, err_msg=name)


def test_a_state_comes_back_as_it_was(tmp_path):
    evidence = make_evidence(examination=[1.0, 0.5, 0.3], max_users=3, source="s")
    evidence.compact(NOON + 9 * DAY)
    evidence.opt_out("u1", at=NOON)
    path = tmp_path / "state"
    evidence.save(path)
    again = Evidence.load(path)
    assert_same(again, evidence)
    assert again.to_bytes() == path.read_bytes()
    assert again.identity == evidence.identity
    assert again.summary == evidence.summary
    assert (again.source, again.arms, again.segments) == ("s", tuple(ARMS), evidence.segments)
    assert again.max_users == 3
    # It goes on as the other does.
    more = make_rows(seed=1)
    again.update(more)
    evidence.update(more)
    assert again.to_bytes() == evidence.to_bytes()


def test_bytes_are_the_same_in_every_process():
    """Ids are hashed by a published function, fields written in a fixed order."""
    row = make_rows(1)[0]
    data = make_evidence([row], source="s").to_bytes()
    assert data.startswith(b"rankloom-evidence 1\n")
    key = stable_id(row["execution_id"]).to_bytes(8, "little")
    digest = hashlib.blake2b(row["execution_id"].encode(), digest_size=8).digest()
    assert digest == key
    assert data.count(key) == 1
    assert row["user_id"].encode() not in data


STATE = make_evidence(source="s").to_bytes()


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, len(STATE) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_is_an_error(at, bit):
    damaged = bytearray(STATE)
    damaged[at] ^= 1 << bit
    with pytest.raises(IntegrityError):
        Evidence.from_bytes(bytes(damaged))


@pytest.mark.parametrize("size", [0, 1, 19, 20, 30, 60, 1000, len(STATE) - 1])
def test_a_cut_off_state_is_an_error(size):
    with pytest.raises(IntegrityError):
        Evidence.from_bytes(STATE[:size])


def resigned(change):
    """A state whose header was changed and whose digest was made to fit."""
    start = len(MAGIC) + 8
    end = start + int.from_bytes(STATE[len(MAGIC) : start], "little")
    header = json.loads(STATE[start:end])
    change(header)
    text = json.dumps(header).encode()
    body = MAGIC + len(text).to_bytes(8, "little") + text + STATE[end:-32]
    return body + hashlib.blake2b(body, digest_size=32).digest()


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("ledger"),
        lambda header: header["arrays"].pop(),
        lambda header: header["arrays"][0].__setitem__(1, "|O"),
        lambda header: header["arms"].append("another"),
        lambda header: header["arrays"][0].__setitem__(2, [10**12]),
        lambda header: header["identity"].pop("half_life"),
    ],
)
def test_a_state_of_another_shape_is_an_error(change):
    Evidence.from_bytes(resigned(lambda _: None))
    with pytest.raises(IntegrityError):
        Evidence.from_bytes(resigned(change))


def test_a_state_of_another_format_is_an_error():
    with pytest.raises(IntegrityError, match="begins with"):
        Evidence.from_bytes(STATE.replace(b"evidence 1", b"evidence 2", 1))


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(UnreadableSourceError, match="cannot be read"):
        Evidence.load(tmp_path / "none")


def test_services_that_read_sums_load_no_library_but_numpy(tmp_path):
    """A service reads what was learnt elsewhere; only folding compiles."""
    evidence = Evidence(["text"], segment_by=["country"])
    for i in range(300):
        evidence.observe(
            {
                "execution_id": "e",
                "feature_id": f"d{i}",
                "position": i,
                "interaction_type": ["impression"],
                "feature_uri": "text",
                "session_id": "s",
                "metadata": {"country": "de"},
            }
        )
    evidence.save(tmp_path / "state")
    code = f"""if True:
        import sys
        from rankloom.bandit.evidence.evidence import Evidence
        evidence = Evidence.load({str(tmp_path / "state")!r})
        assert evidence.sums().N[0, 0] > 6
        assert evidence.session_sums("s").N[0] > 6
        evidence.compact(2**50)
        evidence.unit_rows()
        heavy = {{"polars", "numba", "scipy", "pyarrow", "pandas", "lightgbm"}}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True)


# Rows of a store.


class Store:
    """A minimal store: rows by key, each folded within one transaction."""

    def __init__(self):
        self.rows = {}
        self.segments = set()

    def fold(self, batch):
        fresh = Evidence(ARMS, segment_by=["country"], rewards={"click": 2.0, "nod": 0.1})
        fresh.update(batch)
        new = fresh.unit_rows()
        self.segments |= set(fresh.segments)
        known = [self.rows[row.key].value for row in new if row.key in self.rows]
        fresh.fold_unit_values(known, sorted(self.segments))
        self.rows |= {row.key: row for row in fresh.unit_rows()}


def test_a_store_of_units_holds_the_same_state_whichever_batches_are_resent():
    rows = make_rows(600, seed=3)
    store = Store()
    rng = np.random.default_rng(0)
    for part in np.array_split(rng.permutation(600), 12):
        store.fold([rows[i] for i in part])
        if rng.random() < 0.4:
            store.fold([rows[i] for i in part])
    whole = make_evidence(rows)
    assert len(store.rows) == whole.summary.open_units
    read = Evidence(ARMS, segment_by=["country"], rewards={"click": 2.0, "nod": 0.1})
    read.fold_unit_values([row.value for row in store.rows.values()], sorted(store.segments))
    assert_same(read, whole)
    assert all(len(row.key) == 16 and row.value.startswith(row.key) for row in read.unit_rows())
    first = {row.key: row.time for row in read.unit_rows()}
    assert first == {row.key: row.time for row in whole.unit_rows()}


def test_rows_do_not_depend_on_the_order_of_arms_or_segments():
    rows = make_rows(100)
    left = make_evidence(rows)
    right = Evidence(ARMS[::-1], segment_by=["country"], rewards={"click": 2.0, "nod": 0.1})
    right.update(rows[::-1])
    right.fold_unit_values([row.value for row in left.unit_rows()], left.segments)
    ours, theirs = left.sums(CONTEXTS), right.sums(CONTEXTS)
    np.testing.assert_allclose(ours.N, theirs.N[:, ::-1], rtol=1e-12)


def test_damaged_rows_are_errors():
    value = make_evidence().unit_rows()[0].value
    evidence = make_evidence([])
    with pytest.raises(IntegrityError, match="cut off"):
        evidence.fold_unit_values([value[:-1]])
    head = bytearray(value)
    head[71] = 9
    with pytest.raises(IntegrityError, match="not of format 1 to 4"):
        evidence.fold_unit_values([bytes(head)])
