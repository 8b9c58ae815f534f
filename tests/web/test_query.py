"""A query string is read into a struct as strictly as a body, or not at all."""

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


# --- what fits ----------------------------------------------------------------------------------------------------


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
async def test_each_field_is_read_as_what_it_is(query, fields):
    answer = await ask(query)
    assert (answer.status_code, answer.json()["query"]) == (200, {**BARE, **fields})


async def test_a_route_that_changes_something_has_a_query_of_its_own_beside_its_body():
    """J10: neither is looked for in the place of the other."""
    answer = await ask("after=x", method="POST", json={"refresh_token": "y"})
    assert (answer.json()["query"], answer.json()["body"]) == (BARE, {"refresh_token": "y"})
    assert await refusal("after=x&refresh_token=y", method="POST") == "`refresh_token` is not a field here"
    assert await refusal("", method="POST", json={"refresh_token": "y"}) == "`after` is missing"


# --- what does not ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "`after` is missing"),
        ("after=x&limits=1", "`limits` is not a field here"),
        ("after=x&limit=101", "`limit` must be `int` <= 100"),
        ("after=x&deep=1", "`deep` must be `bool`"),
        ("after=x&deep=True", "`deep` must be `bool`"),
        ("after=x&order=up", "`order` is not accepted as it is"),
        ("after=x&type=null", "`type` is not accepted as it is"),
        ("after=x%00", "a text has a NUL character"),
        ("after=x&since=9223372036854775808", "a number is too large"),
        (f"after=x&{'x' * 65}=1", "the query is not accepted as it is"),
    ],
)
async def test_what_does_not_fit_is_refused_by_the_name_of_its_field(query, detail):
    assert await refusal(query) == detail


@pytest.mark.parametrize(
    "number",
    ["", "+1", "%2B1", "1_0", "%201", "1%20", "1.0", "1.5", "1e1", "0x1", "null", "true", "%D9%A1", "--1", "-", "1%0A",
     "99999999999999999999", "0" * 5000],
)  # fmt: skip
async def test_a_number_is_ascii_digits(number):
    answer = await ask(f"after=x&limit={number}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("query", ["after=x&after=y", "after=x&after=x", "after=x&%61fter=x", "after=&after=", "q=&q="])
async def test_j10_a_parameter_that_comes_twice_is_refused(query):
    """Whoever stands in front of us may have looked at the other one."""
    assert await refusal(query) is None


@pytest.mark.parametrize(
    "query", ["after", "after=x&", "&after=x", "after=x&&limit=1", "after=%", "after=%2", "after=%zz", "after=%ff"]
)
async def test_what_others_read_differently_is_refused(query):
    assert await refusal(query) is None


async def test_a_long_query_is_refused_and_so_are_many_parameters():
    assert (await ask(f"after={'x' * 4000}")).status_code == 200
    await refusal(f"after={'x' * 5000}")
    await refusal("&".join(["after=x", *(f"p{number}=1" for number in range(64))]))


async def test_no_value_of_a_query_comes_back_or_is_logged(caplog):
    with caplog.at_level("INFO", logger="ostiary.web"):
        answer = await ask(f"after={SECRET}&limit={SECRET}&order={SECRET}&{SECRET}=1")
    assert answer.status_code == 400
    assert SECRET not in answer.json()["title"]
    assert SECRET not in written(caplog)
    assert "invalid_query" in written(caplog)


# --- routes without one -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["access_token=x", "a=1&a=2", "%zz", "&&=", "x" * 10_000, "after=%00"])
async def test_s13_a_route_without_a_query_never_looks_at_one(query):
    answer = await ask(query, path="/auth/open")
    assert (answer.status_code, answer.json()["query"]) == (200, {})


@given(st.binary(max_size=80) | st.text("ab=&%+3f", max_size=40).map(str.encode))
def test_any_bytes_are_parameters_that_come_once_or_are_refused(data):
    try:
        parameters = read_parameters(data)
    except InvalidRequest:
        return
    assert len(parameters) == (data.count(b"&") + 1 if data else 0)


# --- mistakes of ours ---------------------------------------------------------------------------------------------


def test_a_query_that_lets_unknown_parameters_pass_fails_when_the_app_is_made():
    class Open(msgspec.Struct):
        limit: int = 1

    with pytest.raises(TypeError, match="Open must be declared with forbid_unknown_fields"):
        World(route("GET", "/x", show, query=Open))


@pytest.mark.parametrize("kind", [list[str], float, dict[str, str], int | str])
def test_a_query_with_a_field_that_no_text_can_be_fails_when_the_app_is_made(kind):
    shape = msgspec.defstruct("Odd", [("field", kind)], forbid_unknown_fields=True)
    with pytest.raises(TypeError, match=r"Odd\.field"):
        World(route("GET", "/x", show, query=shape))
