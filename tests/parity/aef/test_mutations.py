"""Faults are caught, located and undone, and code without a fault raises no alarm."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import aef_jax.model.layers
import aef_jax.model.operators
from configs.sources import SENTINEL1
from parity.aef.mutations.catalogue import CATALOGUE
from parity.aef.mutations.survey import CONFIG, Suite, false_alarms, survey
from parity.cli import main
from parity.comparison.mutation import Mutation, apply_mutation
from parity.comparison.precision import matmul_precision

SMALLER = replace(CONFIG, model=replace(CONFIG.model, num_blocks=1), sources=(SENTINEL1,))
NAMED = {mutation.name: mutation for mutation in CATALOGUE}
TRIED = ["epsilon of a norm", "key mask ignored", "gradient stopped behind the time operator", "a shift too few"]

pytestmark = pytest.mark.usefixtures("one_thread", "quick_compiles")


@pytest.fixture(scope="module")
def suite():
    with matmul_precision():
        yield Suite(SMALLER)


def test_the_catalogue_fits_the_code():
    assert len(NAMED) == len(CATALOGUE) >= 40
    for mutation in CATALOGUE:
        with apply_mutation(mutation):
            pass


def test_a_fault_applies_everywhere_and_is_undone():
    x = jnp.linspace(-2, 2, 9, dtype=jnp.float32)
    before = aef_jax.model.layers.gelu(x)
    with apply_mutation(NAMED["tanh GELU"]):
        during = aef_jax.model.operators.gelu(x)
    assert np.abs(during - before).max() > 1e-5
    np.testing.assert_array_equal(aef_jax.model.operators.gelu(x), before)


def test_a_fault_without_its_source_text_is_refused():
    nowhere = Mutation("nowhere", "aef_jax.model.layers.gelu", "approximate=Maybe", "", "SourceEncoder")
    with pytest.raises(
        ValueError, match=r"nowhere: aef_jax.model.layers.gelu has 'approximate=Maybe' 0 times, expected"
    ):
        apply_mutation(nowhere).__enter__()


@pytest.mark.slow
def test_no_false_alarm(suite):
    assert list(false_alarms(suite, range(1))) == [""]  # aef-parity mutate runs twenty


@pytest.mark.slow
def test_faults_are_caught_and_located(suite):
    outcomes = list(survey(suite, (NAMED[name] for name in TRIED)))
    assert {outcome.mutation.name: outcome.named for outcome in outcomes if not outcome.as_expected} == {}


@pytest.mark.slow
def test_an_equivalent_mutation_is_not_caught(suite):
    (outcome,) = survey(suite, [NAMED["start and end of the period swapped"]])
    assert not outcome.caught
    assert outcome.as_expected


@pytest.mark.slow
def test_every_fault_of_the_optimizer_is_caught(suite):
    outcomes = list(survey(suite, (m for m in CATALOGUE if m.culprit == "optimizer")))
    assert [outcome.mutation.name for outcome in outcomes if not outcome.caught] == []


def test_an_unknown_fault_name_is_refused(capsys):
    assert main(["mutate", "--only", "no such fault"]) == 2
    assert "no mutation has 'no such fault' in its name" in capsys.readouterr().err
