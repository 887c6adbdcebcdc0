"""A folder replaces another one whole, or leaves it as it is; what a killed process left is removed."""

import os
import re
import shutil

import pytest

from aef_jax.files.atomic import remove_leftovers, replace_file, replace_folder


def test_old_folder_stays_if_it_cannot_be_replaced(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/weights").write_text("old")
    with (
        pytest.raises(FileNotFoundError),
        replace_folder(tmp_path / "run", overwrite=True, may_replace=lambda name: True) as temporary,
    ):
        shutil.rmtree(temporary)  # so its rename fails, after the old folder's
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (tmp_path / "run/weights").read_text() == "old"


def test_a_link_to_nowhere_is_told_before_the_work(tmp_path):
    (tmp_path / "run").symlink_to(tmp_path / "gone")
    with (
        pytest.raises(ValueError, match=r"holds other files \(run\)"),
        replace_folder(tmp_path / "run", overwrite=True, may_replace=lambda name: True),
    ):
        pytest.fail("the work has begun")


DEAD = 2**30
"""No process has this number."""


def _left(path, pid: int, host: str = "", token: str = "", ending: str = "tmp"):
    """Leave a temporary folder as another process would, by the name that this process gives."""
    with replace_file(path) as temporary:
        parts = re.fullmatch(r"(.+)\.(\w+)-\d+-(\w+)-\d+\.tmp", temporary.name)
        temporary.write_text("")
    path.unlink()
    assert parts
    left = path.with_name(f"{parts[1]}.{host or parts[2]}-{pid}-{token or parts[3]}-0.{ending}")
    left.mkdir()
    (left / "file").write_text("")
    return left


@pytest.mark.parametrize(
    ("marks", "stays"),
    [
        ({"pid": DEAD}, False),
        ({"pid": os.getpid(), "token": "00000000"}, False),  # of a process with this number that lived before
        ({"pid": os.getpid()}, True),  # of another thread
        ({"pid": os.getppid(), "token": "00000000"}, True),
        ({"pid": DEAD, "host": "00000000"}, True),
    ],
)
def test_only_leftovers_of_the_dead_are_removed(marks, stays, tmp_path):
    """Issue 19, kill tests."""
    left = _left(tmp_path / "a[1].tif", **marks)
    other = _left(tmp_path / "a1.tif", DEAD)
    remove_leftovers(tmp_path / "a[1].tif")
    assert left.exists() == stays
    assert other.exists()


def test_a_folder_that_a_killed_process_moved_is_put_back(tmp_path):
    """Killed between the two renames, a process has moved the old folder away and not put the new one in its place."""
    _left(tmp_path / "run", DEAD, ending="old")
    with pytest.raises(ValueError, match="exists already"), replace_folder(tmp_path / "run"):
        pytest.fail("the work has begun")
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "file"]
