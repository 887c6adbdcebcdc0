"""A build that is killed, is cut into parts or runs on a cluster gives the same bytes."""

import os
import random
import shutil
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from aef_jax.cli import main as cli
from aef_jax.data.build.build import build_dataset
from tests.support.data.scenes import CONFIG, write_tiffs
from tests.support.killing import run_command, started, until
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow
KILLS, SITES = 10, 16


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A data set of 16 sites, built in one go, beside its config."""
    folder = tmp_path_factory.mktemp("build")
    config = folder / "build.toml"
    text = CONFIG.format(files=write_tiffs(folder / "tiffs"), unit="reflectance * 10000")
    config.write_text(text.replace("side = 32", "side = 16"))
    build_dataset(config, folder / "whole", workers=2)
    return folder / "whole"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def workers_of(pid: int) -> set[int]:
    """List the processes that a process began."""
    with suppress(OSError):
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return set()


def is_running(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_ten_kills_change_nothing(whole, tmp_path):
    """Some at a random time, and some while a worker writes its next site. A build that ends is begun anew."""
    out, draw = tmp_path / "out", random.Random(0)
    command = "aef_jax.cli.main", "data", "build", whole.with_name("build.toml"), out, "--workers", "1"
    environment, left, counts = {**os.environ, "JAX_PLATFORMS": "cpu"}, set[int](), list[int]()
    while len(counts) < KILLS:
        before = len(finished_sites(out))
        with started(command, environment) as process:
            if len(counts) % 3:
                until(process, lambda seen=before: len(finished_sites(out)) > seen)
            time.sleep(draw.uniform(0, 0.02 if len(counts) % 3 else 2))
            left |= workers_of(process.pid)
            process.kill()
        if process.returncode == -signal.SIGKILL:
            counts.append(len(finished_sites(out)))
            assert counts[-1] >= before, "a finished site is not built again"
        if out.exists():
            assert files(out) == files(whole)
            shutil.rmtree(out)
    assert sum(0 < count < SITES for count in counts) >= 3, "some were killed between sites"
    run_command(command, environment)
    assert files(out) == files(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    deadline = time.monotonic() + 20
    while any(map(is_running, left)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, left)), "a worker ends with the process that began it"


def finished_sites(out: Path) -> list[Path]:
    return list(out.with_name("out.building").glob("0*.json"))


def test_parts_are_the_whole(whole, tmp_path, capsys):
    words = ["data", "build", str(whole.with_name("build.toml")), str(tmp_path / "out"), "--workers", "1"]
    for part in ("3/3", "1/3", "2/3"):
        assert cli.main([*words, "--part", part]) == 0
        assert f"without --part writes {tmp_path / 'out'}" in capsys.readouterr().out
        assert not (tmp_path / "out").exists()
    assert len(finished_sites(tmp_path / "out")) == SITES
    assert cli.main(words) == 0
    assert files(tmp_path / "out") == files(whole)
    with pytest.raises(SystemExit):
        cli.main([*words, "--part", "4/3"])
    assert "4/3 is no part, expected I/N such as 1/10" in capsys.readouterr().err


def test_a_cluster_builds_the_same(whole, tmp_path):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        config = whole.with_name("build.toml")
        build_dataset(config, tmp_path / "out", workers=1, scheduler=cluster.scheduler_address)
    assert files(tmp_path / "out") == files(whole)


def test_no_scheduler_is_one_sentence(whole, tmp_path, monkeypatch):
    monkeypatch.setattr("aef_jax.data.build.workers.CONNECT_S", 1)
    build = partial(build_dataset, whole.with_name("build.toml"), tmp_path / "out", 1, scheduler="tcp://127.0.0.1:9")
    assert "no scheduler answers at tcp://127.0.0.1:9" in error_message(build)
