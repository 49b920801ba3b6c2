"""Every example in a docstring is run."""

import doctest
import importlib
import pkgutil

import pytest

import bartizan.features
import bartizan.monitoring
import bartizan.stats

MODULES = [
    name
    for package in (bartizan.stats, bartizan.features, bartizan.monitoring)
    for _, name, _ in pkgutil.iter_modules(package.__path__, package.__name__ + ".")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_every_module_of_statistics_has_an_example():
    finder = doctest.DocTestFinder()
    names = [n for n in MODULES if n.startswith("bartizan.stats.")]
    assert not [n for n in names if not any(t.examples for t in finder.find(importlib.import_module(n)))]
