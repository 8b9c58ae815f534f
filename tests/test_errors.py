"""The error tree in the docstring is accurate, and each error has what HTTP needs."""

import re

import ostiary.errors
from ostiary.errors import OstiaryError


def drawn():
    """Maps each class in the docstring's tree to its parent."""
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


def test_the_tree_in_the_docstring_matches_the_classes():
    there = {name: each.__bases__[0].__name__ for name, each in classes().items()} | {"OstiaryError": None}
    assert drawn() == there


def test_every_error_has_a_code_a_title_and_a_status():
    for each in classes().values():
        assert re.fullmatch("[a-z_]+", each.code)
        assert each.title.endswith(".")
        assert each.status in {400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503}


def test_each_code_has_exactly_one_status():
    statuses = {}
    for each in classes().values():
        statuses.setdefault(each.code, set()).add(each.status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}
