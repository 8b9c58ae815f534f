"""A query string is parsed into a struct as strictly as a body, or it is ignored."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import InvalidRequest
from ostiary.web.parameters import read_parameters
from tests.logged import written
from tests.web.toy import SECRET, World, route, show

BARE = {"after": "x", "limit": 10, "since": None, "deep": False, "order": "asc", "type": None}


async def ask(query, *, method="GET", path="/auth/list", **request):
    async with World().client() as client:
        return await client.request(method, f"{path}?{query}", **request)


async def refusal(query, **request):
    answer = await ask(query, **request)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.text
    return answer.json().get("detail")


# --- valid queries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("after=x", {}),
        ("after=", {"after": ""}),
        ("after=a%20b+c%2B%C3%A9", {"after": "a b c+é"}),
        ("%61fter=x&limit=%31", {"limit": 1}),
        ("after=x&limit=-5&since=0", {"limit": -5, "since": 0}),
        ("after=x&since=9223372036854775807", {"since": 9223372036854775807}),
        ("after=x&since=-9223372036854775808", {"since": -9223372036854775808}),
        ("after=x&deep=true&order=desc&type=b", {"deep": True, "order": "desc", "type": "b"}),
        ("after=1&deep=false", {"after": "1"}),
        ("after=null", {"after": "null"}),
    ],
)
async def test_each_field_is_parsed_by_its_type(query, fields):
    answer = await ask(query)
    assert (answer.status_code, answer.json()["query"]) == (200, {**BARE, **fields})


async def test_a_query_and_a_body_are_separate():
    """J10: parameters of the one are never read from the other."""
    answer = await ask("after=x", method="POST", json={"refresh_token": "y"})
    assert (answer.json()["query"], answer.json()["body"]) == (BARE, {"refresh_token": "y"})
    assert await refusal("after=x&refresh_token=y", method="POST") == "`refresh_token` is not a known field"
    assert await refusal("", method="POST", json={"refresh_token": "y"}) == "`after` is missing"


# --- invalid queries ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "`after` is missing"),
        ("after=x&limits=1", "`limits` is not a known field"),
        ("after=x&limit=101", "`limit` must be `int` <= 100"),
        ("after=x&deep=1", "`deep` must be `bool`"),
        ("after=x&deep=True", "`deep` must be `bool`"),
        ("after=x&order=up", "`order` has a value that is not accepted"),
        ("after=x&type=null", "`type` has a value that is not accepted"),
        ("after=x%00", "a string has a NUL character"),
        ("after=x&since=9223372036854775808", "a number is too large"),
        (f"after=x&{'x' * 65}=1", "the query has a value that is not accepted"),
    ],
)
async def test_an_invalid_value_is_refused_with_the_name_of_its_field(query, detail):
    assert await refusal(query) == detail


@pytest.mark.parametrize(
    "number",
    ["", "+1", "%2B1", "1_0", "%201", "1%20", "1.0", "1.5", "1e1", "0x1", "null", "true", "%D9%A1", "--1", "-", "1%0A",
     "99999999999999999999", "0" * 5000],
)  # fmt: skip
async def test_other_spellings_of_numbers_are_refused(number):
    answer = await ask(f"after=x&limit={number}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("query", ["after=x&after=y", "after=x&after=x", "after=x&%61fter=x", "after=&after=", "q=&q="])
async def test_j10_a_duplicate_parameter_is_refused(query):
    """A proxy in front of us may have checked the other one."""
    assert await refusal(query) is None


@pytest.mark.parametrize(
    "query", ["after", "after=x&", "&after=x", "after=x&&limit=1", "after=%", "after=%2", "after=%zz", "after=%ff"]
)
async def test_syntax_that_other_parsers_read_differently_is_refused(query):
    assert await refusal(query) is None


async def test_long_queries_and_many_parameters_are_refused():
    assert (await ask(f"after={'x' * 4000}")).status_code == 200
    await refusal(f"after={'x' * 5000}")
    await refusal("&".join(["after=x", *(f"p{number}=1" for number in range(64))]))


async def test_no_query_value_is_returned_or_logged(caplog):
    with caplog.at_level("INFO", logger="ostiary.web"):
        answer = await ask(f"after={SECRET}&limit={SECRET}&order={SECRET}&{SECRET}=1")
    assert answer.status_code == 400
    assert SECRET not in answer.json()["title"]
    assert SECRET not in written(caplog)
    assert "invalid_query" in written(caplog)


# --- routes without a query ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["access_token=x", "a=1&a=2", "%zz", "&&=", "x" * 10_000, "after=%00"])
async def test_s13_a_route_without_a_query_ignores_it(query):
    answer = await ask(query, path="/auth/open")
    assert (answer.status_code, answer.json()["query"]) == (200, {})


@given(st.binary(max_size=80) | st.text("ab=&%+3f", max_size=40).map(str.encode))
def test_any_bytes_are_unique_parameters_or_are_refused(data):
    try:
        parameters = read_parameters(data)
    except InvalidRequest:
        return
    assert len(parameters) == (data.count(b"&") + 1 if data else 0)


# --- programming errors -------------------------------------------------------------------------------------------


def test_a_query_that_allows_unknown_parameters_fails_when_the_app_is_created():
    class Open(msgspec.Struct):
        limit: int = 1

    with pytest.raises(TypeError, match="Open must be declared with forbid_unknown_fields"):
        World(route("GET", "/x", show, query=Open))


@pytest.mark.parametrize("kind", [list[str], float, dict[str, str], int | str])
def test_a_query_with_an_unsupported_field_type_fails_when_the_app_is_created(kind):
    shape = msgspec.defstruct("Odd", [("field", kind)], forbid_unknown_fields=True)
    with pytest.raises(TypeError, match=r"Odd\.field"):
        World(route("GET", "/x", show, query=shape))
