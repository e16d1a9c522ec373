"""Stores that do not work: refused with 503 or at the start, and nothing acknowledged is lost."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest

INTERACTIONS = "/v1/retrievers/interactions"
FUSION = "/v1/retrievers/r/learned-fusion"
ARMS = ["mixpeek://text", "mixpeek://image"]
PATIENCE = 240.0
"""Seconds after which what has to come does not come: who failed often is left alone for 60."""
LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


class Shop:
    """A service process of the test's own, and what it has acknowledged."""

    def __init__(self, client, process, folder):
        self.client, self.process, self.folder = client, process, folder
        self.acknowledged, self.number = set(), 0

    def row(self, **fields):
        self.number += 1
        return {
            "feature_id": f"d{self.number % 10}",
            "execution_id": f"e{self.number // 10}",
            "interaction_type": ["impression"] if self.number % 3 else ["click"],
            "position": self.number % 10,
            "retriever_id": "r",
            "user_id": f"u{self.number % 7}",
            "feature_uri": ARMS[self.number % 2],
            **fields,
        }

    def post(self, **fields):
        """Send one row; the answer is a success, or a refusal that says when to come again."""
        return self._noted(self.client.post(self.row(**fields)))

    def post_batch(self, size, **fields):
        rows = [self.row(**fields) for _ in range(size)]
        return self._noted(self.client.post({"interactions": rows}, f"{INTERACTIONS}/batch"))

    def _noted(self, answer):
        body = answer.json()
        if answer.status_code == 200:
            results = body.get("results", [body])
            self.acknowledged.update(each["interaction_id"] for each in results)
        else:
            self.check_refusal(answer)
        return answer

    def check_refusal(self, answer):
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) >= 1
        assert str(self.folder) not in answer.text
        assert answer.json()["success"] is False

    def enable(self):
        assert (
            self.client.post({"feature_uris": ARMS, "min_lists": 0}, f"{FUSION}/enable").status_code
            == 200
        )

    def learns(self):
        """Wait until everything that is logged is learnt; return whether there is anything."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.client.get(f"{FUSION}/stats")
            if answer.status_code == 200 and not answer.json()["lag"]:
                return answer.json()["open_units"] > 0
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)

    def is_ready(self):
        return self.client.get("/readyz").status_code == 200

    def followed_by(self, other):
        """Hand over what was acknowledged to the next service of the same folder."""
        other.acknowledged, other.number = set(self.acknowledged), self.number
        return other

    def stored(self, name="log.db"):
        with contextlib.closing(sqlite3.connect(self.folder / name)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            query = "SELECT interaction_id FROM interactions"
            found = [name for (name,) in connection.execute(query)]
        assert len(found) == len(set(found))
        return set(found)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0

    def check(self):
        """Everything acknowledged is stored, once; the service ends in good order."""
        assert self.client.get("/healthz").status_code == 200
        self.stop()
        assert self.acknowledged
        assert self.acknowledged <= self.stored()
        assert "Traceback" not in (self.folder / "stderr").read_text()


@pytest.fixture
def open_shop(started, started_address, tokens_for, client_of):
    """A function that starts a service over a folder."""
    with contextlib.ExitStack() as stack:

        def open_it(folder):
            tokens = tokens_for(folder / "tokens", "shop")
            process = stack.enter_context(started(folder))
            stack.callback(process.kill)
            client = client_of(started_address(process), tokens)
            client.http.timeout = PATIENCE
            stack.enter_context(client.http)
            return Shop(client, process, folder)

        yield open_it


@pytest.fixture
def shop(open_shop, tmp_path):
    return open_shop(tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 3 MB; a function that mounts it anew with other options."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = [shutil.which("mount") or "false", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")

    def again(options):
        command = [shutil.which("mount"), "-o", f"remount,{options}", place]
        subprocess.run(command, check=True)

    try:
        yield place, again
    finally:
        subprocess.run([shutil.which("umount"), "--lazy", place], check=True)


@contextlib.contextmanager
def locked(path):
    """Let another process hold a database."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"locked\n"
        try:
            yield
        finally:
            process.stdin.close()


def damage(path, start=4_096):
    """Write garbage over a part of every page of a file; return what was there."""
    before = path.read_bytes()
    with path.open("r+b") as file:
        for place in range(start, len(before), 4_096):
            file.seek(place)
            file.write(b"\xaa" * 200)
    return before


def refused_start(started, folder):
    """Return the one line with which the command gives up."""
    with started(folder) as process:
        assert process.wait(PATIENCE) == 2
        assert process.stdout.read() == ""
    lines = (folder / "stderr").read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def fill(place):
    """Take the space that is left on a disk."""
    with contextlib.suppress(OSError), (place / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4_096))


@pytest.mark.slow
def test_a_full_disk(open_shop, small_disk, wait_until):
    """Refused with 503 while nothing fits; works again, learning too, as soon as there is space."""
    place, remount = small_disk
    shop = open_shop(place)
    shop.enable()
    note = {"note": "x" * 500}
    answers = [shop.post_batch(200, metadata=note) for _ in range(30)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 503
    assert shop.post(metadata=note).status_code in {200, 503}
    fill(place)
    wait_until(lambda: shop.client.get("/readyz").status_code == 503)
    assert shop.client.get(f"{FUSION}/weights/u1").status_code == 200
    assert shop.client.post({}, f"{INTERACTIONS}/list").status_code in {200, 503}
    remount("size=60m")
    wait_until(lambda: shop.client.get("/readyz").status_code == 200)
    assert shop.post_batch(200, metadata=note).status_code == 200
    assert shop.post().status_code == 200
    assert shop.learns()
    shop.check()


@pytest.mark.slow
def test_a_disk_that_became_read_only(open_shop, small_disk):
    """Reported in one line at the start; nothing acknowledged is missing afterwards."""
    place, remount = small_disk
    shop = open_shop(place)
    assert shop.post().status_code == 200
    shop.stop()
    remount("ro")
    with pytest.raises(OSError, match="Read-only"):
        (place / "x").touch()
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "rankloom", "serve", "--port", "0"),
            *("--log", f"sqlite:///{place}/log.db", "--state", f"sqlite:///{place}/fusion.db"),
            *("--token-file", str(place / "tokens")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        printed, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, printed) == (2, "")
    assert errors.startswith("error: ")
    assert len(errors.splitlines()) == 1
    remount("rw")
    again = shop.followed_by(open_shop(place))
    assert again.post().status_code == 200
    again.check()


@pytest.mark.slow
def test_a_log_that_another_process_holds(shop, wait_until):
    """Refused with 503 after a while; rows of refused requests may be there, no other is."""
    assert shop.post().status_code == 200
    with locked(shop.folder / "log.db"):
        assert shop.post().status_code == 503
        assert shop.client.get("/readyz").status_code == 503
        known = next(iter(shop.acknowledged))
        assert shop.client.get(f"{INTERACTIONS}/{known}").status_code == 200
    assert shop.post().status_code == 200
    assert shop.post_batch(20).status_code == 200
    wait_until(shop.is_ready)  # what was found a second ago is reported again
    shop.check()


@pytest.mark.slow
def test_a_log_that_another_process_holds_at_the_start(shop, started):
    """Reported in one line."""
    assert shop.post().status_code == 200
    shop.stop()
    (shop.folder / "stderr").unlink()
    with locked(shop.folder / "log.db"):
        assert "locked" in refused_start(started, shop.folder)
    assert shop.acknowledged == shop.stored()


@pytest.mark.slow
def test_a_log_that_is_damaged_at_the_start(shop, started):
    """Reported in one line, and left as it is."""
    assert shop.post_batch(500).status_code == 200
    shop.stop()
    (shop.folder / "stderr").unlink()
    path = shop.folder / "log.db"
    before = damage(path)
    damaged = path.read_bytes()
    assert "damaged" in refused_start(started, shop.folder)
    assert path.read_bytes() == damaged
    path.write_bytes(before)
    assert shop.acknowledged == shop.stored()


@pytest.mark.slow
def test_a_log_that_is_damaged_while_it_runs(shop, open_shop):
    """Whatever needs a damaged page is refused with 503, and the rest is answered."""
    assert shop.post_batch(500).status_code == 200
    shop.stop()  # so that all of it is in the one file
    again = shop.followed_by(open_shop(shop.folder))
    path = shop.folder / "log.db"
    before = damage(path, start=8_192)
    some = sorted(again.acknowledged)[::50]
    reads = [again.client.get(f"{INTERACTIONS}/{name}") for name in some]
    reads += [again.client.post({}, f"{INTERACTIONS}/list")]
    writes = [again.post() for _ in range(5)] + [again.post_batch(50)]
    refused = [answer for answer in (*reads, *writes) if answer.status_code != 200]
    assert refused
    for answer in refused:
        again.check_refusal(answer)
    with path.open("r+b") as file:
        file.write(before)
    assert again.client.get("/healthz").status_code == 200
    again.stop()
    assert again.acknowledged <= again.stored()
    last = again.followed_by(open_shop(shop.folder))
    assert last.client.get(f"{INTERACTIONS}/{some[0]}").status_code == 200
    assert last.post().status_code == 200


@pytest.mark.slow
def test_a_log_that_was_taken_away(shop):
    """Refused with 503, and not ready, until it is back; no other is begun in its place."""
    assert shop.post_batch(100).status_code == 200
    shop.enable()
    files = list(shop.folder.glob("log.db*"))
    for path in files:
        path.rename(shop.folder / path.name.replace("log.db", "away.db"))
    assert [shop.post().status_code for _ in range(3)] == [503] * 3
    assert shop.client.post({}, f"{INTERACTIONS}/list").status_code == 503
    assert (
        shop.client.post({"feature_uris": ARMS, "min_lists": 0}, f"{FUSION}/enable").status_code
        == 503
    )
    time.sleep(2.5)  # the settings of the retrievers are looked at every second
    assert shop.client.get("/readyz").status_code == 503
    metrics = shop.client.get("/metrics", role="metrics")
    assert metrics.status_code == 200
    assert "rankloom_follower_lag_rows" in metrics.text
    assert not list(shop.folder.glob("log.db*"))
    for path in files:
        (shop.folder / path.name.replace("log.db", "away.db")).rename(path)
    assert shop.post().status_code == 200
    assert shop.learns()
    shop.check()


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["damaged", "a folder"])
def test_a_state_that_cannot_be_read(tmp_path, open_shop, started, trouble):
    """Reported in one line at the start; all is learnt again from the log once it is away."""
    shop = open_shop(tmp_path)
    shop.enable()
    assert shop.post_batch(200).status_code == 200
    assert shop.learns()
    shop.stop()
    (tmp_path / "stderr").unlink()
    path = tmp_path / "fusion.db"
    if trouble == "damaged":
        damage(path, start=0)
    else:
        path.unlink()
        path.mkdir()
    assert "fusion.db" in refused_start(started, tmp_path)
    (tmp_path / "stderr").unlink()
    (path.rmdir if path.is_dir() else path.unlink)()
    again = shop.followed_by(open_shop(tmp_path))
    assert again.post().status_code == 200
    assert again.learns()
    again.check()


@pytest.mark.slow
def test_a_state_that_was_taken_away(shop):
    """The log goes on; the state is learnt again from it."""
    shop.enable()
    assert shop.post_batch(200).status_code == 200
    assert shop.learns()
    for path in shop.folder.glob("fusion.db*"):
        path.unlink()
    assert shop.post_batch(200).status_code == 200
    assert shop.client.get(f"{FUSION}/weights/u1").status_code == 200
    assert shop.learns()
    shop.check()


@pytest.mark.slow
def test_a_state_that_another_process_holds(shop):
    """The log goes on, weights are answered; what came meanwhile is learnt afterwards."""
    shop.enable()
    assert shop.post_batch(200).status_code == 200
    assert shop.learns()
    with locked(shop.folder / "fusion.db"):
        assert [shop.post(session_id="s").status_code for _ in range(20)] == [200] * 20
        assert shop.client.get(f"{FUSION}/weights/u1").status_code == 200
        assert shop.client.get(f"{FUSION}/stats").json()["lag"] == 20
    assert shop.learns()
    shop.check()
