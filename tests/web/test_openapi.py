"""The OpenAPI document is valid, complete, and matches real responses."""

import json

import jsonschema
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from ostiary.core.plug import InChecks
from ostiary.errors import Busy
from ostiary.web import document, with_own
from tests.web.toy import CLIENT, CLIENT_SECRET, ROUTES, SECRET, World, access_token, route, show

CLIENT_FORM = {"client_id": CLIENT.id, "client_secret": CLIENT_SECRET}


def described(*routes, **settings):
    world = World(*routes, **settings)
    complete = with_own(world.routes, settings=world.settings, alone=True)
    return document(complete, settings=world.settings, version="1.2.3")


DOCUMENT = described()


def operation(method, path, document=DOCUMENT):
    return document["paths"][path][method.lower()]


def codes(method, path, document=DOCUMENT):
    responses = operation(method, path, document)["responses"]
    return {
        int(status): set(
            response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
        )
        for status, response in responses.items()
        if "application/problem+json" in response.get("content", {})
    }


def test_the_document_is_valid_openapi():
    OpenAPIV31SpecValidator(json.loads(json.dumps(DOCUMENT))).validate()


def test_the_validator_finds_an_invalid_document():
    broken = json.loads(json.dumps(DOCUMENT))
    broken["paths"]["/auth/me"]["get"]["parameters"] = [{"name": "x"}]
    with pytest.raises(OpenAPIValidationError):
        OpenAPIV31SpecValidator(broken).validate()


def test_the_document_contains_exactly_the_routes():
    listed = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    expected = {(each.method, each.path if each.place.value == "root" else f"/auth{each.path}") for each in ROUTES}
    assert listed == expected | {("GET", "/auth/openapi.json"), ("GET", "/healthz"), ("GET", "/readyz")}


def test_the_order_of_the_routes_does_not_change_the_document():
    assert json.dumps(described()) == json.dumps(described(*reversed(ROUTES)))


def test_error_codes_are_sorted():
    for path, methods in DOCUMENT["paths"].items():
        for method in methods:
            for response in operation(method, path)["responses"].values():
                if problem := response.get("content", {}).get("application/problem+json"):
                    listed = problem["schema"]["allOf"][1]["properties"]["code"]["enum"]
                    assert listed == sorted(listed)


def test_operations_are_named_and_grouped_by_their_path():
    assert operation("DELETE", "/auth/sessions/{id}")["operationId"] == "delete_sessions_by_id"
    assert operation("POST", "/auth/login")["operationId"] == "post_login"
    assert operation("GET", "/auth/sessions")["tags"] == ["sessions"]
    assert operation("GET", "/auth/openapi.json")["tags"] == ["openapi"]
    assert operation("GET", "/.well-known/jwks.json")["tags"] == ["discovery"]
    assert operation("GET", "/readyz")["tags"] == ["health"]
    names = [each["operationId"] for methods in DOCUMENT["paths"].values() for each in methods.values()]
    assert len(names) == len(set(names))


def test_paths_and_server_follow_the_settings():
    other = described(prefix="/identity", issuer="https://id.example.com/tenant")
    assert "/identity/login" in other["paths"]
    assert other["servers"] == [{"url": "https://id.example.com/tenant"}]
    assert other["paths"]["/.well-known/jwks.json/tenant"]["servers"] == [{"url": "https://id.example.com"}]
    OpenAPIV31SpecValidator(json.loads(json.dumps(other))).validate()


def test_path_parameters_are_described():
    assert operation("DELETE", "/auth/sessions/{id}")["parameters"] == [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    ]


def test_bodies_are_described_and_allow_no_other_fields():
    body = operation("POST", "/auth/login")["requestBody"]
    assert body == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Login"}}},
    }
    assert DOCUMENT["components"]["schemas"]["Login"]["additionalProperties"] is False
    assert operation("POST", "/auth/refresh")["requestBody"]["required"] is False
    assert "requestBody" not in operation("POST", "/auth/totp")


def test_every_credential_has_its_schemes():
    assert operation("POST", "/auth/login")["security"] == []
    assert operation("GET", "/auth/me")["security"] == [{"bearer": []}, {"accessCookie": []}]
    assert operation("POST", "/auth/refresh")["security"] == [{"refreshCookie": []}, {}]
    assert {} in operation("POST", "/auth/logout")["security"]
    assert DOCUMENT["components"]["securitySchemes"]["refreshCookie"]["name"] == "__Host-ostiary_refresh"


def test_refusals_by_policy_and_parsing_are_described_too():
    assert codes("POST", "/auth/register") == {
        400: {"invalid_request", "malformed_json"},
        403: {"cross_site_request"},
        413: {"body_too_large"},
        415: {"unsupported_media_type"},
        422: {"invalid_body"},
        429: {"rate_limited"},
        503: {"unavailable"},
    }
    assert codes("GET", "/auth/me") == {
        400: {"invalid_request", "multiple_credentials"},
        401: {"missing_credential", "invalid_token"},
        503: {"unavailable"},
    }
    assert codes("POST", "/auth/refresh")[400] == {
        "invalid_request", "malformed_json", "missing_token", "multiple_credentials",
    }  # fmt: skip
    assert codes("DELETE", "/auth/sessions/{id}")[404] == {"not_found"}
    assert codes("POST", "/auth/totp")[409] == {"conflict"}
    assert codes("GET", "/auth/open") == {503: {"unavailable"}}
    assert codes("GET", "/readyz") == {503: {"not_ready", "unavailable"}}


def test_routes_that_count_attempts_themselves_describe_their_limits_too():
    counted = described(route("POST", "/x", show, limit=InChecks(), errors=(Busy,)))
    assert codes("POST", "/auth/x", counted)[429] == {"rate_limited"}
    assert codes("POST", "/auth/x", counted)[503] == {"busy", "unavailable"}


def test_a_refusal_is_described_by_the_meaning_of_its_codes():
    described = operation("POST", "/auth/refresh")["responses"]["400"]["description"]
    assert described == (
        "The request cannot be understood. The body is not valid JSON. The request carries no refresh token. "
        "The request carries more than one credential."
    )


def test_the_headers_of_a_refusal_are_described():
    responses = operation("POST", "/auth/register")["responses"]
    assert "Retry-After" in responses["429"]["headers"]
    assert "WWW-Authenticate" in operation("GET", "/auth/me")["responses"]["401"]["headers"]


def test_two_structs_with_the_same_name_stay_separate():
    class Login(msgspec.Struct, forbid_unknown_fields=True):
        pin: str

    Login.__module__ = "elsewhere"
    both = described(*ROUTES, route("POST", "/pin", show, body=Login))
    first = operation("POST", "/auth/login", both)["requestBody"]["content"]["application/json"]["schema"]
    second = operation("POST", "/auth/pin", both)["requestBody"]["content"]["application/json"]["schema"]
    assert first != second
    OpenAPIV31SpecValidator(json.loads(json.dumps(both))).validate()


def test_a_query_is_described_as_parameters():
    parameters = operation("GET", "/auth/list")["parameters"]
    assert [(each["name"], each["in"], each["required"]) for each in parameters] == [
        ("after", "query", True),
        *((name, "query", False) for name in ("limit", "since", "deep", "order", "type")),
    ]
    schema_of = {each["name"]: each["schema"] for each in parameters}
    assert schema_of["limit"] == {"type": "integer", "minimum": -5, "maximum": 100, "default": 10}
    assert schema_of["since"] == {"type": "integer"}  # never null, because a query value is text
    assert DOCUMENT["components"]["schemas"]["Order"]["enum"] == ["asc", "desc"]
    assert "Filter" not in DOCUMENT["components"]["schemas"]
    assert codes("GET", "/auth/list")[400] == {"invalid_request"}


def test_an_oauth_route_is_described_with_both_bodies_and_its_error_object():
    described = operation("POST", "/auth/oauth")
    form, read = (
        described["requestBody"]["content"][media]["schema"]
        for media in ("application/x-www-form-urlencoded", "application/json")
    )
    assert form == read
    assert form["allOf"][0] == {"$ref": "#/components/schemas/Ask"}
    assert set(form["allOf"][1]["properties"]) == {"client_id", "client_secret"}
    assert described["security"] == [{"client": []}, {}]
    assert operation("GET", "/auth/oauth/feed")["security"] == [{"client": []}]
    assert {
        int(status): set(response["content"]["application/json"]["schema"]["allOf"][1]["properties"]["error"]["enum"])
        for status, response in described["responses"].items()
        if status != "200"
    } == {
        400: {"invalid_request"},
        401: {"invalid_client"},
        413: {"invalid_request"},
        415: {"invalid_request"},
        503: {"temporarily_unavailable"},
    }


def test_a_signed_text_is_described_as_a_string():
    content = operation("GET", "/auth/signed")["responses"]["200"]["content"]
    assert content == {"application/*": {"schema": {"type": "string"}}}


def test_routes_with_device_tokens_describe_the_refusal_of_two_of_them():
    assert "multiple_credentials" in codes("POST", "/auth/device")[400]
    assert "multiple_credentials" not in codes("POST", "/auth/login")[400]


BEARER = {"authorization": f"Bearer {access_token()}"}


@pytest.mark.parametrize(
    ("method", "template", "path", "request_"),
    [
        ("POST", "/auth/login", "/auth/login", {"json": {"email": "a", "password": SECRET}}),
        ("POST", "/auth/login", "/auth/login", {"json": {"email": "a", "password": "x"}}),
        ("POST", "/auth/login", "/auth/login", {"json": {"email": 1}}),
        ("POST", "/auth/login", "/auth/login", {"content": b"{", "headers": {"content-type": "application/json"}}),
        ("POST", "/auth/login", "/auth/login", {"json": {"email": "a", "password": SECRET, "transport": "cookie"}}),
        ("POST", "/auth/login", "/auth/login", {"data": {"a": "b"}}),
        ("POST", "/auth/login", "/auth/login", {"json": {"email": "a" * 70_000}}),
        ("GET", "/auth/me", "/auth/me", {"headers": BEARER}),
        ("GET", "/auth/me", "/auth/me", {}),
        ("GET", "/auth/me", "/auth/me", {"headers": {"authorization": "Bearer"}}),
        ("POST", "/auth/refresh", "/auth/refresh", {}),
        ("DELETE", "/auth/sessions/{id}", "/auth/sessions/ses_1", {"headers": BEARER}),
        ("DELETE", "/auth/sessions/{id}", "/auth/sessions/ses_2", {"headers": BEARER}),
        ("GET", "/auth/lost", "/auth/lost", {}),
        ("GET", "/auth/list", "/auth/list?after=x", {}),
        ("GET", "/auth/list", "/auth/list?limit=x", {}),
        ("POST", "/auth/oauth", "/auth/oauth", {"data": {"token": "x", **CLIENT_FORM}}),
        ("POST", "/auth/oauth", "/auth/oauth", {"data": {"token": "x"}}),
        ("POST", "/auth/oauth", "/auth/oauth", {"data": CLIENT_FORM}),
        ("POST", "/auth/oauth", "/auth/oauth", {"content": b"x", "headers": {"content-type": "text/plain"}}),
        ("POST", "/auth/oauth", "/auth/oauth", {"data": {"token": "a" * 70_000}}),
        ("POST", "/auth/oauth/lost", "/auth/oauth/lost", {"data": {"token": "x"}}),
        ("GET", "/auth/who", "/auth/who", {}),
        ("GET", "/auth/openapi.json", "/auth/openapi.json", {}),
        ("GET", "/healthz", "/healthz", {}),
        ("GET", "/readyz", "/readyz", {}),
    ],
)
async def test_real_responses_match_the_document(method, template, path, request_):
    async with World().client() as client:
        answer = await client.request(method, path, **request_)
    response = operation(method, template)["responses"][str(answer.status_code)]
    if answer.status_code == 204:
        assert "content" not in response
        return
    schema = response["content"][answer.headers["content-type"]]["schema"]
    jsonschema.validate(
        answer.json(), {**schema, "components": DOCUMENT["components"]}, cls=jsonschema.Draft202012Validator
    )


def test_a_wrong_response_does_not_match_the_document():
    response = operation("POST", "/auth/login")["responses"]["401"]
    schema = response["content"]["application/problem+json"]["schema"]
    wrong = {"type": "urn:x", "title": "x", "status": 401, "code": "invalid_token"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, {**schema, "components": DOCUMENT["components"]})


async def test_the_document_is_served():
    world = World()
    async with world.client() as client:
        served = (await client.get("/auth/openapi.json")).json()
    served["info"]["version"] = "1.2.3"
    assert served == json.loads(json.dumps(DOCUMENT))
