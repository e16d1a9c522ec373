"""Files of object stores give the rows of the same files on disk, and are not transferred whole."""

import gzip
import logging
import subprocess
import sys
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from threading import Thread

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rankloom import load_pairs
from rankloom.datasets.reading.open_sources import open_sources
from rankloom.datasets.reading.remote_files import is_url, public_url, remote_errors
from rankloom.datasets.reading.scan import Scan, scan
from rankloom.errors import InvalidInputError, UnreadableSourceError

SECRET = "a-secret-that-no-message-shows"  # noqa: S105 - of a server that runs for these tests
LOG = pl.DataFrame(
    {
        "execution_id": [f"e{i // 5}" for i in range(60)],
        "feature_id": [f"d{i % 7}" for i in range(60)],
        "position": [i % 5 if i % 13 else -1 for i in range(60)],
        "interaction_type": ["click" if i % 3 == 0 else "impression" for i in range(60)],
        "session_id": [f"s{i // 10}" for i in range(60)],
    }
)


@pytest.fixture(scope="module")
def server():
    """The requests that a local S3 server got, each as method, path and range."""
    from moto.server import ThreadedMotoServer
    from werkzeug.serving import WSGIRequestHandler

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    requests = []
    own = WSGIRequestHandler.log_request

    def note(handler, *_):
        requests.append((handler.command, handler.path, handler.headers.get("Range")))

    WSGIRequestHandler.log_request = note
    running = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").mkdir("bucket")
        yield requests
        fsspec.filesystem("s3").clear_instance_cache()
    running.stop()
    WSGIRequestHandler.log_request = own


@pytest.fixture(params=["s3", "memory"])
def store(request):
    """The URL of an empty folder in each kind of store."""
    if request.param == "s3":
        request.getfixturevalue("server")
    url = f"{request.param}://bucket/{request.node.name.replace('[', '-').rstrip(']')}"
    system, path = fsspec.core.url_to_fs(url)
    yield url
    if system.exists(path):
        system.rm(path, recursive=True)


def put(url, content):
    system, path = fsspec.core.url_to_fs(url)
    system.pipe(path, content)


def put_folder(folder, url):
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            put(f"{url}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def write_all(folder):
    """Write the log in every format."""
    LOG.write_parquet(folder / "log.parquet", row_group_size=13)
    LOG.write_ipc(folder / "log.arrow")
    LOG.write_ipc_stream(folder / "stream.arrow")
    LOG.write_ndjson(folder / "log.jsonl")
    LOG.write_csv(folder / "log.csv")
    (folder / "log.csv.gz").write_bytes(gzip.compress((folder / "log.csv").read_bytes()))
    (folder / "log.jsonl.gz").write_bytes(gzip.compress((folder / "log.jsonl").read_bytes()))
    (folder / "parquet").write_bytes((folder / "log.parquet").read_bytes())
    return sorted(path.name for path in folder.iterdir())


def assert_same(url, path, **options):
    """The rows of a URL are those of a path, bad ones by their numbers too."""
    found, expected = scan(url, **options), scan(path, **options)
    assert found.rows_read == expected.rows_read > 0
    assert found.frame.equals(expected.frame)
    rows = [each.quarantine.to_frame().drop("source") for each in (found, expected)]
    assert rows[0].equals(rows[1])
    return found


def test_every_format_gives_the_rows_of_the_file_on_disk(store, tmp_path):
    names = write_all(tmp_path)
    put_folder(tmp_path, store)
    for name in names:
        found = assert_same(f"{store}/{name}", tmp_path / name)
        assert found.quarantine.head(1)["source"].item() == f"{store}/{name}"
    url = f"{store}/log.parquet"
    pairs = [load_pairs(s, impressions=s, features=f) for s, f in ((url, features(url)),)]
    expected = load_pairs(LOG, impressions=LOG, features=features(url))
    assert pairs[0].X.tobytes() == expected.X.tobytes()


def features(url):
    folder = url.rpartition("/")[0]
    put(
        f"{folder}/features.csv",
        b"feature_id,price\n" + b"\n".join(b"d%d,%d" % (i, i) for i in range(7)),
    )
    return f"{folder}/features.csv"


def test_folders_partitions_and_globs_are_those_of_the_disk(store, tmp_path):
    for device, part in (("mobile", LOG[:20]), ("New York", LOG[20:35]), ("tv", LOG[35:])):
        folder = tmp_path / "log" / f"device={device.replace(' ', '%20')}"
        folder.mkdir(parents=True)
        part.write_parquet(folder / "part-0.parquet")
    for name in ("_SUCCESS", ".part-0.parquet.crc", "_temporary/part-9.parquet"):
        path = tmp_path / "log" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no rows")
    put_folder(tmp_path, store)
    for pattern in (
        "log",
        "log/",
        "log/device=*/*.parquet",
        "log/**/part-0.parquet",
        "log/device=[mt]*/*",
    ):
        assert_same(f"{store}/{pattern}", str(tmp_path / pattern))
    (batch,) = [pl.concat(Scan(f"{store}/log", extra=["device"]).batches())]
    assert set(batch["device"]) == {"mobile", "New York", "tv"}
    several = [f"{store}/log/device=tv/part-0.parquet", f"{store}/log/device=mobile"]
    assert scan(several).rows_read == 45


def test_files_that_were_added_since_the_last_listing_are_found(store, tmp_path):
    LOG.write_csv(tmp_path / "a.csv")
    for number in (1, 2, 3):
        put(f"{store}/log/{number}.csv", (tmp_path / "a.csv").read_bytes())
        assert scan(f"{store}/log").rows_read == 60 * number
        assert scan(f"{store}/log/*.csv").rows_read == 60 * number


def test_of_a_parquet_file_only_the_row_groups_and_columns_that_are_used_are_transferred(
    server, tmp_path
):
    path, url = tmp_path / "log.parquet", "s3://bucket/ranges/log.parquet"
    rows = 200_000
    noise = pa.array([f"{i * 2654435761 % 2**32:032x}" for i in range(rows)])
    table = pa.table(
        {
            "feature_id": pa.array([f"d{i % 50}" for i in range(rows)]),
            "position": pa.array([i % 10 for i in range(rows)]),
            "noise": noise,
            "interaction_type": pa.array(["click"] * rows),
        }
    )
    pq.write_table(table, path, row_group_size=50_000, compression="none")
    put(url, path.read_bytes())
    server.clear()
    batches = Scan(url, columns=["feature_id"]).batches()
    assert len(next(batches)) > 0
    batches.close()
    assert sum(map(len, Scan(url, columns=["feature_id"]).batches())) == rows
    gets = [r for method, target, r in server if method == "GET" and target.endswith(".parquet")]
    assert len(gets) > 4
    assert all(gets)
    spans = [tuple(map(int, each.removeprefix("bytes=").split("-"))) for each in gets]
    transferred = sum(last - first + 1 for first, last in spans)
    assert transferred < path.stat().st_size / 4
    # The first block of rows needs no more than what it is made of.
    assert max(last - first for first, last in spans) < path.stat().st_size / 10


@pytest.mark.usefixtures("server")
def test_what_cannot_be_read_says_which_url_and_why(tmp_path):
    LOG.write_parquet(tmp_path / "log.parquet")
    content = (tmp_path / "log.parquet").read_bytes()
    put("s3://bucket/bad/cut.parquet", content[:-100])
    put("s3://bucket/bad/small.parquet", b"PAR1")
    put("s3://bucket/bad/other.parquet", b"feature_id,position\n" * 3)
    put("s3://bucket/bad/damaged.parquet", content[:40] + b"\0" * 200 + content[240:])
    put("s3://bucket/bad/cut.csv.gz", gzip.compress(b"feature_id\na\n" * 99)[:-9])
    put("s3://bucket/bad/plain.csv.gz", b"feature_id\na\n")
    put("s3://bucket/empty/_SUCCESS", b"")
    for url, message in {
        "s3://bucket/none.parquet": "there is no such file",
        "s3://no-bucket/log.parquet": "there is no such file .*bucket",
        "s3://bucket/none/*.parquet": "no file matches",
        "s3://bucket/empty": "the folder holds no file",
        "s3://bucket/bad/cut.parquet": "truncated or damaged",
        "s3://bucket/bad/small.parquet": "truncated or damaged",
        "s3://bucket/bad/other.parquet": "no Parquet file: it starts with b'feat'",
        "s3://bucket/bad/damaged.parquet": "cannot be read",
        "s3://bucket/bad/cut.csv.gz": "cannot be read",
        "s3://bucket/bad/plain.csv.gz": "not compressed as its name says",
    }.items():
        with pytest.raises(UnreadableSourceError, match=message) as caught:
            scan(url)
        assert url.partition("/*")[0] in str(caught.value)
        assert SECRET not in str(caught.value)
    put("s3://bucket/bad/unknown", b"\0\1\2")
    with pytest.raises(InvalidInputError, match="gives a known format"):
        scan("s3://bucket/bad/unknown")
    with pytest.raises(UnreadableSourceError, match="nosuch.*Give a path, or a URL of a protocol"):
        scan("nosuch://bucket/log.csv")


def test_denied_access_is_named_and_no_secret_is():
    from botocore.exceptions import NoCredentialsError

    signed = "https://user:word@host/log.csv?X-Amz-Signature=1f3a&X-Amz-Credential=me"
    assert public_url(signed) == "https://host/log.csv"
    for error, message in (
        (PermissionError(f"Forbidden, url='{signed}'"), "access is denied"),
        (NoCredentialsError(), "access is denied .*Check the credentials"),
        (OSError(f"503, message='busy', url=URL('{signed}')"), "cannot be read: OSError: 503"),
    ):
        with pytest.raises(UnreadableSourceError, match=message) as caught, remote_errors("u"):
            raise error
        shown = f"{caught.value} {caught.value.__cause__}"
        assert not any(part in shown for part in ("1f3a", "word", "Credential=me"))


@pytest.mark.usefixtures("server")
def test_refused_credentials_are_an_error_of_access(monkeypatch):
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the server's name for it

        def log_message(self, *_):
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        Thread(target=refusing.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{refusing.server_port}")
        system = fsspec.filesystem("s3")
        system.clear_instance_cache()
        for url in ("s3://bucket/x.csv", "s3://bucket/*.csv"):
            with pytest.raises(UnreadableSourceError, match=r"s3://bucket/.*: access is denied"):
                scan(url)
        system.clear_instance_cache()
        refusing.shutdown()


def test_a_file_of_a_web_server_is_read_and_its_signature_shown_nowhere(tmp_path):
    LOG.write_csv(tmp_path / "log.csv")
    LOG.write_parquet(tmp_path / "log.parquet")

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Stay silent."""

    handler = partial(Silent, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        Thread(target=web.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{web.server_port}"
        found = assert_same(f"{url}/log.csv?signature=1f3a", tmp_path / "log.csv")
        assert found.quarantine.head(1)["source"].item() == f"{url}/log.csv"
        # This server gives files only whole.
        for name, message in (("log.parquet", "range requests"), ("none.csv", "no such file")):
            with pytest.raises(UnreadableSourceError, match=message) as caught:
                scan(f"{url}/{name}?signature=1f3a")
            assert "1f3a" not in str(caught.value)
        web.shutdown()


def test_a_missing_package_is_named(monkeypatch):
    known = import_module("fsspec.registry")._registry
    for missing, url, advice in (
        ("s3fs", "s3://bucket/a.csv", r"needs s3fs: pip install 'rankloom\[cloud\]'"),
        ("gcsfs", "gs://bucket/a.csv", "needs gcsfs: pip install 'gcsfs'"),
        ("adlfs", "abfs://bucket/a.csv", "needs adlfs: pip install 'adlfs'"),
        ("fsspec.core", "s3://bucket/a.csv", r"needs fsspec: pip install 'rankloom\[cloud\]'"),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            for protocol in ("s3", "gs", "abfs"):
                patch.delitem(known, protocol, raising=False)
            with pytest.raises(UnreadableSourceError, match=advice):
                scan(url)


def test_urls_are_distinguished_from_paths(tmp_path):
    assert all(map(is_url, ("s3://a/b", "gs://a", "simplecache::s3://a/b", "HTTPS://a/b")))
    assert not any(map(is_url, ("a/b", "sqlite:///a", "C:\\a", "s3:/a", tmp_path, 7, None)))
    LOG.write_csv(tmp_path / "log 1.csv")
    assert_same(f"file://{tmp_path}/log%201.csv", tmp_path / "log 1.csv")


@pytest.mark.parametrize("marker", ["_delta_log/0.json", "metadata/v1.metadata.json", ".hoodie/a"])
def test_folders_of_lake_tables_are_refused_as_they_hold_deleted_rows(marker, tmp_path):
    path = tmp_path / marker
    path.parent.mkdir()
    path.write_text("{}")
    LOG.write_parquet(tmp_path / "part-0.parquet")
    url = f"memory://lake/{marker.partition('/')[0]}"
    put_folder(tmp_path, url)
    for folder in (tmp_path, url):
        with pytest.raises(InvalidInputError, match="the folder of an? (Delta|Iceberg|Hudi) table"):
            open_sources(folder if isinstance(folder, str) else str(folder))


def test_without_urls_fsspec_is_not_loaded():
    code = (
        "import sys, rankloom; from rankloom.datasets.reading.scan import scan;"
        "scan([{'feature_id': 'a', 'interaction_type': ['click'], 'position': 0}]);"
        "assert not {'fsspec', 's3fs', 'pyarrow'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
