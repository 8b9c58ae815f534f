"""Which values may be parameters. This is checked before any engine gets them."""

from enum import IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.store.values import INT64_MAX, INT64_MIN, checked


class Kind(StrEnum):
    SESSION = "session"


class Number(IntEnum):
    ONE = 1


class Hidden(str):
    __slots__ = ()

    def __str__(self):
        return "…"


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [(Kind.SESSION, "session"), (Number.ONE, 1), (True, 1), (False, 0), (Hidden("shown"), "shown"), (None, None)],
)
def test_subclasses_become_plain_values(given_value, kept):
    """Drivers differ in how they treat an enum, a bool, or a string with its own `__str__`."""
    (value,) = checked([given_value])
    assert value == kept
    assert type(value) is type(kept)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.binary() | st.none()))
def test_text_and_bytes_are_not_changed(values):
    assert checked(values) == values


@given(st.integers())
def test_integers_are_bounded(number):
    if INT64_MIN <= number <= INT64_MAX:
        assert checked([number]) == [number]
    else:
        with pytest.raises(ValueError, match="64 bits"):
            checked([number])


@pytest.mark.parametrize("value", [1.0, [1], {"a": 1}, bytearray(b"a"), memoryview(b"a"), object()])
def test_other_types_are_refused_by_name(value):
    with pytest.raises(ValueError, match=type(value).__name__):
        checked([value])
