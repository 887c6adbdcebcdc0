"""The data of a run: the sources of both config and data set, text if it fits, and validation examples."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from aef_jax.data.loading.pipeline import HostExamples, training_batches
from aef_jax.data.loading.training_data import dataset_data, find_site, open_data, open_examples
from aef_jax.data.store import records as records_module
from aef_jax.data.store.dataset import Dataset
from aef_jax.data.store.normalization import Normalization
from aef_jax.data.store.record import decode
from aef_jax.data.store.site import Site, TextPoints
from configs.config import Config
from configs.sources import PALSAR2
from tests.support.data.small_dataset import TRAINING, VALIDATION, change_description, small_sites, write, write_small
from tests.support.data.small_site import CONFIG, TEXT_WIDTH
from tests.support.refusals import error_message

pytestmark = pytest.mark.slow

SITE = small_sites(1)[0]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    return write_small(tmp_path_factory.mktemp("dataset") / "small")


def _at(path: Path, config: Config = CONFIG) -> Config:
    return replace(config, data=replace(config.data, path=str(path)))


def _without(site: Site, *names: str) -> Site:
    return replace(site, series={name: series for name, series in site.series.items() if name not in names})


def test_run_has_both_splits_and_an_example_per_validation_site(written):
    data = open_data(_at(written))
    assert [site.name for site in data.training] == ["site0", "site1", "site2"]
    assert len(data.validation["validation"]) == VALIDATION
    assert data.pictured.name == "site10"
    assert [source.name for source in data.schema.sources] == ["sentinel2", "landsat", "sentinel1", "glo30", "nlcd"]
    assert data.schema.text_width == TEXT_WIDTH


def test_no_validation_record_is_decoded_twice_at_start(written, monkeypatch):
    decoded = []

    def count(blob: bytes, where: str) -> Site:
        decoded.append(where)
        return decode(blob, where)

    monkeypatch.setattr(records_module, "decode", count)
    (examples,) = open_data(_at(written)).validation.values()
    first = list(examples)
    assert sorted(decoded) == [f"{written}: validation record {index}" for index in range(VALIDATION)]
    assert not examples.decoded, "no site is kept longer than that"
    for drawn, again in zip(first, examples, strict=True):
        jax.tree.map(np.testing.assert_array_equal, drawn, again)


def test_batches_are_drawn_from_training_records(written):
    config = replace(_at(written), training=replace(CONFIG.training, steps=52, warmup_steps=1, batch=3))
    data = open_data(config)
    batches = training_batches(HostExamples(data.training, data.schema, config))
    first = next(batches)
    assert first.frames["sentinel2"].pixels.shape[0] == 3
    assert first.text.present.shape == (3,)
    targets = first.targets["glo30"].pixels
    elevations = [
        data.schema.normalization.apply(s, data.schema.sources).series["glo30"].pixels[0] for s in data.training
    ]
    assert all(any(np.array_equal(target, known) for known in elevations) for target in targets)
    assert len({target.tobytes() for target in targets}) == TRAINING


def test_known_levels_identify_the_data(written, tmp_path):
    assert "levels" not in open_data(_at(written)).data_fingerprint
    path = write(tmp_path / "levels", [SITE], levels={"landsat": "SR", "palsar2": "none of it"})
    assert open_data(_at(path)).data_fingerprint["levels"] == {"landsat": "SR"}


def test_weights_identify_the_data(written, tmp_path):
    assert "weights" not in open_data(_at(written)).data_fingerprint
    checksums = []
    for weight in (2.0, 3.0):
        path = write(tmp_path / f"of{weight}", [replace(SITE, weight=weight), *small_sites(1, 1)])
        data = open_data(_at(path))
        assert data.weights.tolist() == open_examples(_at(path)).weights.tolist() == [weight, 1]
        checksums.append(data.data_fingerprint["weights"])
    assert checksums[0] != checksums[1]


def test_resumed_run_keeps_its_own_statistics(written):
    own = Dataset.open(written).normalization
    moved = Normalization({name: mean + 1 for name, mean in own.mean.items()}, own.deviation)
    assert open_data(_at(written), own).schema.normalization is own
    assert "its statistics differ from those that the run started with" in error_message(open_data, _at(written), moved)


def test_without_validation_records_there_is_no_evaluation(tmp_path):
    path = write(tmp_path / "training", [SITE])
    data = open_data(_at(path))
    assert data.validation == {}
    assert data.pictured.name == SITE.name
    assert data.remarks == (
        f"data set {path}: it has no validation split, so the run is not evaluated and no checkpoint is the best",
    )


def test_sources_missing_in_config_or_data_are_left_out(tmp_path):
    data = open_data(_at(write(tmp_path / "few", [_without(SITE, "landsat", "nlcd")])))
    assert [source.name for source in data.schema.sources] == ["sentinel2", "sentinel1", "glo30"]
    more = replace(CONFIG, sources=(*CONFIG.sources, PALSAR2))
    assert "palsar2" not in [source.name for source in open_data(_at(tmp_path / "few", more)).schema.sources]


def test_sources_of_one_side_only_are_told(tmp_path, written):
    assert open_data(_at(written)).remarks == ()
    silent = replace(_without(SITE, "landsat"), text=TextPoints.none())
    few = write(tmp_path / "few", [silent], [replace(SITE, name="whole", text=TextPoints.none())])
    config = replace(CONFIG, sources=(*CONFIG.sources[:4], PALSAR2, CONFIG.sources[-1]))
    assert open_data(_at(few, config)).remarks == (
        f"data set {few}: the model does not read its sources nlcd",
        f"data set {few}: it has no valid training pixel or text of the model's sources landsat, palsar2, text",
    )
    mute = replace(CONFIG, sources=CONFIG.sources[:-1])
    assert open_data(_at(written, mute)).remarks == (f"data set {written}: the model does not read its sources text",)


def test_source_only_in_validation_records_is_left_out(tmp_path):
    path = write(tmp_path / "odd", [_without(SITE, "landsat")], [replace(SITE, name="whole")])
    assert "landsat" not in [source.name for source in open_data(_at(path)).schema.sources]


def test_input_only_in_validation_records_is_not_trained_on(tmp_path):
    path = write(tmp_path / "odd", [_without(SITE, "landsat", "sentinel1", "sentinel2")], [replace(SITE, name="whole")])
    assert "expected some of the inputs" in error_message(open_data, _at(path))


def test_dataset_without_text_trains_a_model_with_a_text_head(tmp_path):
    silent = replace(SITE, text=TextPoints.none())
    data = open_data(_at(write(tmp_path / "silent", [silent])))
    assert data.schema.text_width == 0
    assert next(training_batches(HostExamples(data.training, data.schema, CONFIG))).text is None


def test_text_is_left_out_if_its_objective_weight_is_zero(written):
    wide = replace(CONFIG, model=replace(CONFIG.model, text_width=5))
    assert "set --model.text_width 8" in error_message(open_data, _at(written, wide))
    without = replace(wide, objective=replace(wide.objective, text=0.0))
    assert open_data(_at(written, without)).schema.text_width == 0


def test_broken_record_is_reported_by_the_batch_stream(tmp_path):
    path = write(tmp_path / "three", small_sites(3), shard_bytes=1)
    second = path / "training-00001.array_record"
    content = bytearray(second.read_bytes())
    content[len(content) // 3] ^= 4
    second.write_bytes(content)
    data = dataset_data(CONFIG, Dataset.open(path))
    stream = training_batches(HostExamples(data.training, data.schema, CONFIG))
    assert "training record 1: cannot be read" in error_message(list, stream)


def test_site_is_chosen_by_name_or_is_the_first_validation_site(written, tmp_path):
    assert find_site(written, "site2").name == "site2"
    assert find_site(written, None).name == "site10"
    assert find_site(write(tmp_path / "training", [SITE]), None).name == SITE.name
    assert f"{written}: there is no site 'site99'" in error_message(find_site, written, "site99")


@pytest.mark.parametrize("small_is", ["training", "validation"])
@pytest.mark.parametrize("is_old", [False, True])
def test_site_smaller_than_a_tile_is_refused_before_a_run(tmp_path, small_is, is_old):
    """Row 8 of the users' cases: it was found at the step that drew it, again on every resume."""
    first, second, third, fourth = small_sites(4)
    small = second.window(slice(0, 16), slice(0, 12))
    sites = {"training": [first, third], "validation": [fourth]}
    sites[small_is].append(small)
    path = write(tmp_path / "small", sites["training"], sites["validation"])
    if is_old:  # older data sets do not name the smallest site
        change_description(path, lambda table: table.update(smallest=None))
    assert error_message(open_data, _at(path)) == (
        f"data set {path}: site site1 has 16 x 12 pixels, expected at least one tile of 16 x 16: write the data set"
        " without it, or set --data.tile_side"
    )


def test_another_scaling_than_the_data_set_has_is_refused(written):
    optical = replace(CONFIG.sources[0], bands=tuple(replace(b, scaling="none") for b in CONFIG.sources[0].bands))
    config = replace(CONFIG, sources=(optical, *CONFIG.sources[1:]))
    said = error_message(open_data, _at(written, config))
    assert said.startswith(f"data set {written}, source sentinel2: the config scales its bands otherwise")
