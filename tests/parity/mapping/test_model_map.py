"""A model map converts JAX's paths to PyTorch's."""

import pytest

from parity.mapping.model_map import AS_NAMED, ModelMap, dotted

MAP = ModelMap(
    renames={
        "": "model",
        "layers.*": "encoder.layer.*",
        "layers.*.attention": "encoder.layer.*.attention.self",
        "layers.*.parts.*": "parts.*.of.*",
        "head": "",
    }
)


@pytest.mark.parametrize(
    ("jax_path", "torch_path"),
    [
        ((), "model"),
        (("norm", "scale"), "model.norm.scale"),
        (("layers",), "model.layers"),
        (("layers", 3), "encoder.layer.3"),
        (("layers", 3, "mlp", "up"), "encoder.layer.3.mlp.up"),
        (("layers", 3, "attention", "q"), "encoder.layer.3.attention.self.q"),
        (("layers", 3, "parts", "a", "b"), "parts.3.of.a.b"),
        (("head", "out"), "out"),
        (("headless",), "model.headless"),
    ],
)
def test_the_longest_pattern_renames(jax_path, torch_path):
    assert dotted(MAP.torch_path(jax_path)) == torch_path


def test_numbers_stay_indices():
    assert MAP.torch_path(("layers", 3)) == ("encoder", "layer", 3)
    assert ModelMap(renames={"first": "net.0"}).torch_path(("first", "weight")) == ("net", 0, "weight")


def test_without_renames_paths_are_the_same():
    assert AS_NAMED.torch_path(("a", 1, "b")) == ("a", 1, "b")


def test_the_first_matching_pattern_applies():
    mapping = ModelMap(channels_first={"stem": 3, "*": 4}, calls={"blocks.*.attention": len})
    assert [mapping.channel_rank(path) for path in ("stem", "", "body.conv")] == [3, 4, 4]
    assert AS_NAMED.channel_rank("") is None
    assert mapping.caller("blocks.0.attention") is len
    assert mapping.caller("blocks.0") is None


def test_batch_counters_need_no_counterpart():
    assert AS_NAMED.is_ignored("body.bn.num_batches_tracked")
    assert not AS_NAMED.is_ignored("body.bn.running_mean")
