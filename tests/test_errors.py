"""One tree, drawn as it is, each error with what HTTP needs."""

import re

import ostiary.errors
from ostiary.errors import OstiaryError


def drawn():
    """The classes of the docstring's tree, each with the one above it."""
    above, found = {}, {}
    for line in ostiary.errors.__doc__.splitlines():
        if match := re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z][A-Za-z]+)", line):
            depth = len(match[1]) // 4
            above[depth] = match[2]
            found[match[2]] = above.get(depth - 1)
    return found


def classes():
    everything = vars(ostiary.errors).items()
    return {name: each for name, each in everything if isinstance(each, type) and issubclass(each, OstiaryError)}


def test_the_drawn_tree_is_the_tree_that_is_there():
    there = {name: each.__bases__[0].__name__ for name, each in classes().items()} | {"OstiaryError": None}
    assert drawn() == there


def test_every_error_has_a_code_a_title_and_a_status_of_its_family():
    for each in classes().values():
        assert re.fullmatch("[a-z_]+", each.code)
        assert each.title.endswith(".")
        assert each.status in {400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503}


def test_a_code_has_one_status():
    statuses = {}
    for each in classes().values():
        statuses.setdefault(each.code, set()).add(each.status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}
