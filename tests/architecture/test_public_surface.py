"""`import ostiary` exposes exactly the listed names."""

import importlib
import re
import types
import typing

import pytest

import ostiary
from tests.architecture.source import modules

LISTING = [module.name for module in modules() if re.search(r"^__all__\b", module.path.read_text(), re.MULTILINE)]


def test_public_names_are_sorted_and_unique():
    assert list(ostiary.__all__) == sorted(set(ostiary.__all__))


def test_every_public_name_is_listed():
    modules_and_annotations = {name for name, value in vars(ostiary).items() if isinstance(value, types.ModuleType)}
    modules_and_annotations |= vars(typing).keys()
    public = {name for name in vars(ostiary).keys() - modules_and_annotations if not name.startswith("_")}
    assert public <= set(ostiary.__all__)


def test_an_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ostiary.no_such_name


@pytest.mark.parametrize("name", LISTING)
def test_each_listed_name_exists(name):
    module = importlib.import_module(name)
    assert [each for each in module.__all__ if not hasattr(module, each)] == []
