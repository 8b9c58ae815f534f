"""`ostiary.jose.strict_json`: ambiguous JSON is refused."""

import json
import math
import time

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ostiary.jose import strict_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def is_read(data, read=strict_json.loads):
    try:
        read(data)
    except ValueError:
        return False
    return True


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_the_output_of_a_standard_writer_is_read(value, ascii_only, indent):
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert strict_json.loads(data) == value


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b'{"a":1,"a":1}')
@example(b'{"a":1e400}')
@example(b'"\\ud800"')
@example(b"-0")
def test_the_fast_path_never_accepts_what_the_slow_path_refuses(data):
    """Comparing with rewritten JSON must be as strict as the rules: same values, same refusals."""
    try:
        fast = strict_json.loads(data)
    except ValueError:
        return
    checked = strict_json._loads_checking_each_rule(data)
    assert fast == checked
    assert strict_json.dumps(fast) == strict_json.dumps(checked)


@pytest.mark.parametrize(
    "data",
    [
        b'{"alg":"none","alg":"ES256"}',
        b'{"sub":"me","sub":"admin"}',
        b'{"sub":"me","\\u0073ub":"admin"}',
        b'{"exp":1,"exp":9999999999}',
        b'{"deep":{"a":1,"a":1}}',
        b'{"a":1, "a":1}',
    ],
)
def test_j15_a_name_that_occurs_twice_is_refused(data):
    with pytest.raises(ValueError, match="twice"):
        strict_json.loads(data)


@pytest.mark.parametrize(
    "number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 5000, b"-" + b"1" * 101]
)
def test_j18_numbers_that_are_not_valid_json_are_refused(number):
    assert not is_read(b'{"exp":' + number + b"}")


def test_a_long_run_of_digits_in_a_text_is_no_number():
    for text in ("1" * 5000, 'a"' + "9" * 200):
        assert strict_json.loads(strict_json.dumps({"a": text})) == {"a": text}


def test_reading_long_numbers_costs_nothing():
    """Python takes quadratic time for each: 64 KB of them took 4.4 ms of the event loop."""
    hostile = b"[" + b",".join([b"9" * 4300] * 15) + b"]"
    with pytest.raises(ValueError, match="more than 100 digits"):
        strict_json.loads(hostile)


@pytest.mark.parametrize(
    "data",
    [
        '{"a":"b"}'.encode("utf-16"),
        '{"a":"b"}'.encode("utf-16-le"),
        '{"a":"b"}'.encode("utf-32"),
        '{"a":"b"}'.encode("utf-8-sig"),
        b'{"a":"\xff"}',
        b'{"\xff":1}',
        b'{"a":"\xc0\xaf"}',  # overlong encoding
        b'{"a":"\xed\xa0\x80"}',  # a surrogate in UTF-8
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":"\\ud800x"}',
        b'{"a":1}\0',
        b'\0{"a":1}',
        b'{"a":"\x01"}',
        b'{"a":1}{}',
        b'{"a":1,}',
        b"{'a':1}",
        b"{a:1}",
        b'{"a":1}//',
        b'/**/{"a":1}',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":0x1}',
        b'{"a":True}',
        b"",
        b" ",
        b"{",
        b'"',
    ],
)
def test_j16_other_encodings_and_dialects_are_refused(data):
    assert not is_read(data)


@pytest.mark.parametrize("data", [b"null", b"[]", b'"x"', b"1", b"true", b"", b" {}", b"{}\n", b"[{}]"])
def test_j17_only_objects_are_accepted_as_objects(data):
    assert not is_read(data, strict_json.loads_object)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_j29_deep_nesting_is_refused_without_recursion(opening):
    with pytest.raises(ValueError, match="deep"):
        strict_json.loads(opening * 100_000)


def test_nesting_is_counted_outside_strings_and_up_to_the_limit():
    limit = strict_json.MAX_DEPTH
    assert strict_json.loads(b"[" * limit + b"]" * limit)
    with pytest.raises(ValueError, match="deep"):
        strict_json.loads(b"[" * (limit + 1) + b"]" * (limit + 1))
    assert strict_json.loads(b'["' + b"[" * 1000 + b'\\"[[[["]') == ["[" * 1000 + '"[[[[']
    assert strict_json.loads(b"[" + b"[]," * 1000 + b"[]]") == [[]] * 1001


@pytest.mark.parametrize(
    "data",
    [
        b'"' + b'\\"' * 500_000,
        b'"' + b'\\"' * 500_000 + b"\\",
        b"[" * 17 + b'"' + b'\\"' * 500_000,
        b"[" * 17 + b'"' + b'\\"' * 500_000 + b"\\",
        b'"' * 1_000_001 + b"[" * 17,
        b"[]," * 300_000,
        b"\\" * 1_000_000 + b"[" * 17,
    ],
)
def test_p07_a_megabyte_of_unterminated_strings_is_refused_in_linear_time(data):
    """Starting again at each quote would take quadratic time: minutes instead of milliseconds."""
    start = time.perf_counter()
    assert not is_read(data)
    assert time.perf_counter() - start < 1.0


def test_msgspec_and_json_each_accept_invalid_json_so_both_are_needed():
    """The facts that this module relies on. If one of them changes, update its comments too."""
    assert json.loads('{"a":1,"a":2}') == {"a": 2}
    assert math.isinf(json.loads("1e999"))
    assert json.loads('{"a":1}'.encode("utf-16")) == {"a": 1}
    assert msgspec.json.decode(b'{"a":1,"a":2}') == {"a": 2}
    with pytest.raises(RecursionError):
        msgspec.json.decode(b"[" * 100_000)
    with pytest.raises(UnicodeDecodeError):
        msgspec.json.decode(b'"\xff"')
