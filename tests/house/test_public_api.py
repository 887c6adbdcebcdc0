"""The names that packages export can be imported, and each has a docstring."""

import importlib
import inspect

import pytest

PACKAGES = ("aef_jax", "aef_torch", "parity")


@pytest.mark.parametrize("package", PACKAGES)
def test_exported_names_are_documented(package):
    module = importlib.import_module(package)
    assert module.__all__
    exported = {name: getattr(module, name) for name in module.__all__}
    documented = {name for name, value in exported.items() if name == "__version__" or inspect.getdoc(value)}
    assert documented == set(module.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_have_a_version(package):
    assert importlib.import_module(package).__version__


def test_parity_has_no_other_attributes():
    with pytest.raises(AttributeError, match="module 'parity' has no attribute 'nothing'"):
        importlib.import_module("parity").nothing  # noqa: B018
