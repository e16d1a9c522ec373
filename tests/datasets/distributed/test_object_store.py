"""Workers read files of an object store as one process does."""

from __future__ import annotations

import logging
import os

import fsspec
import pytest

from rankloom.datasets import distributed, load_pairs


@pytest.fixture
def bucket(client, monkeypatch):
    """The URL of a bucket of a local S3 server, which this process and the workers know."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    known = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    client.run(lambda: os.environ.update(known))
    # Servers of one process have their buckets in common, and file systems are cached.
    fsspec.filesystem("s3").clear_instance_cache()
    fsspec.filesystem("s3").mkdir("workers")
    yield "s3://workers"
    fsspec.filesystem("s3").clear_instance_cache()
    client.run(lambda: [os.environ.pop(name) for name in known])
    server.stop()


@pytest.mark.slow
def test_a_folder_of_an_object_store(client, files, bucket, assert_same):
    system = fsspec.filesystem("s3")
    for path in files:
        system.put(path, f"workers/log/{path.rsplit('/', 1)[1]}")
    found = distributed.load_pairs(f"{bucket}/log", client=client, partitions=2)
    assert_same(found, load_pairs(files))
