"""`rankloom train --memory-limit`: the model of a log that is read at once."""


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_model_folder_is_bit_for_bit_the_same(run, simulated, tmp_path):
    log, workdir = simulated / "small.parquet", tmp_path / "work"
    options = ["--features", simulated / "features.parquet", "--debias", "none", "--threads", 1]
    limits = ["--memory-limit", "1GB", "--workdir", workdir]
    at_once = run("train", log, *options, "--out", tmp_path / "at_once")
    parts = run("train", log, *options, *limits, "--out", tmp_path / "parts")
    assert (at_once.code, parts.code) == (0, 0), parts.err
    assert parts.out == at_once.out
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "at_once")
    assert list(workdir.iterdir()) == []


def test_wrong_options_are_one_line(run, simulated, tmp_path):
    command = ["train", simulated / "small.parquet", "--out", tmp_path / "model"]
    run(*command, "--memory-limit", "plenty").assert_refused("memory_limit", "2GB", "plenty")
    run(*command, "--workdir", tmp_path).assert_refused("--workdir", "--memory-limit")
    run(*command, "--memory-limit", "1GB", "--dask", "local").assert_refused(
        "--memory-limit", "--dask"
    )
    assert not (tmp_path / "model").exists()
