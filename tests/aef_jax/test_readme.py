"""What the README writes in Python does what it says. (Its commands are run by .ci/run.)"""

from dataclasses import replace

import numpy as np
from readme import block

from aef_jax.data.dataset import Dataset
from aef_jax.data.training_data import open_data, open_examples
from configs.presets import TINY


def test_the_records_that_it_writes_are_a_training_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(block("records"), {})
    dataset = Dataset.open(tmp_path / "mine")
    assert [len(dataset.records(split)) for split in ("training", "heldout")] == [3, 1]
    config = replace(TINY, data=replace(TINY.data, path=str(tmp_path / "mine")))
    example = open_examples(config)[0]
    assert set(example.frames) == {"sentinel2"}
    assert example.frames["sentinel2"].present.all()
    assert np.isfinite(example.targets["sentinel2"].pixels).all()
    assert len(open_data(config).heldout["heldout"]) == 1
