"""A folder replaces another one whole, or leaves it as it is."""

import shutil

import pytest

from aef_jax.files.atomic import replace_folder


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
        pytest.raises(ValueError, match=r"holds more than converted weights \(run\)"),
        replace_folder(tmp_path / "run", overwrite=True, may_replace=lambda name: True),
    ):
        pytest.fail("the work has begun")
