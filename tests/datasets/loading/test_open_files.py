"""A process may open the files of all partitions, or says which limit is too low."""

import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("resource")

LIMITED = """
    import resource, sys
    from pathlib import Path

    from rankloom.datasets import partition_interactions, simulate_interactions
    from rankloom.datasets.loading.row_files import RowFiles
    from rankloom.errors import InvalidInputError

    log, folder = simulate_interactions(n_executions=50, random_state=0), Path(sys.argv[1])
    (folder / "rows").mkdir()

    def rows(partitions):
        with RowFiles(folder / "rows", partitions, []):
            pass

    def parquet(partitions):
        partition_interactions(log, folder / f"p{partitions}", partitions=partitions)

    for write in (rows, parquet):
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 400))
        write(200)
    for write in (rows, parquet):
        try:
            write(450)
        except InvalidInputError as error:
            print(error)
    print(sorted(each.name for each in folder.iterdir()))
"""


def test_the_soft_limit_is_raised_and_the_hard_one_named(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(LIMITED), tmp_path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    *errors, names = done.stdout.splitlines()
    assert len(errors) == 2
    for error in errors:
        assert error.startswith("partitions: 450 files are written at once")
        assert "may open 400 (RLIMIT_NOFILE, the hard limit)" in error
    assert names == "['p200', 'rows']"
