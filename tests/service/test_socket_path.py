"""A unix socket belongs to one service, and each removes none but its own."""

import contextlib
import socket

import pytest

from rankloom.errors import InvalidInputError
from rankloom.service.socket_path import listen_on_path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "service.sock"


def bound(path):
    other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    other.bind(str(path))
    return other


def test_a_second_start_is_refused_before_the_first_listens(path):
    with listen_on_path(path) as first:
        inode = path.stat().st_ino
        with pytest.raises(InvalidInputError, match="another service"), listen_on_path(path):
            pass
        assert path.stat().st_ino == inode
        first.listen()
        with pytest.raises(InvalidInputError, match="another service"), listen_on_path(path):
            pass
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as caller:
            caller.connect(str(path))
    assert not path.exists()


def test_the_path_is_free_after_the_end(path):
    for _ in range(2):
        with listen_on_path(path):
            assert path.is_socket()
        assert not path.exists()


def test_the_path_is_free_after_a_failure(path):
    with pytest.raises(RuntimeError), listen_on_path(path):
        raise RuntimeError
    with listen_on_path(path):
        assert path.is_socket()


def test_a_socket_that_a_killed_process_left_is_replaced(path):
    bound(path).close()
    with listen_on_path(path) as listening:
        listening.listen()
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as caller:
            caller.connect(str(path))


def test_what_took_the_place_of_the_socket_is_kept(path):
    with listen_on_path(path):
        path.rename(path.with_name("moved"))
        other = bound(path)
    with other:
        assert path.is_socket()


def test_a_socket_on_which_another_program_listens_is_kept(path):
    with bound(path) as other:
        other.listen()
        with pytest.raises(InvalidInputError, match="in use"), listen_on_path(path):
            pass
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as caller:
            caller.connect(str(path))


def test_a_file_at_the_path_is_kept(path):
    path.write_text("mine")
    with pytest.raises(InvalidInputError, match="in use"), listen_on_path(path):
        pass
    assert path.read_text() == "mine"


def test_a_missing_folder_is_said(path):
    with pytest.raises(InvalidInputError, match="No such file"), listen_on_path(path / "x" / "y"):
        pass
