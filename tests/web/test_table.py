"""A path matches exactly one route or none."""

import urllib.parse

import pytest

from ostiary.web.table import Table, path_of

TABLE = Table(
    [
        ("GET", "/auth/me", "me"),
        ("GET", "/auth/sessions", "list"),
        ("DELETE", "/auth/sessions", "end all"),
        ("DELETE", "/auth/sessions/{id}", "end one"),
        ("GET", "/auth/users/{id}/roles/{name}", "role"),
        ("PUT", "/auth/users/{id}/roles/{name}", "grant"),
        ("GET", "/auth/a.b", "dot"),
        ("GET", "/auth/files/{name}.json", "file"),
    ]
)


def test_one_path_groups_its_methods():
    found = TABLE.find("/auth/sessions")
    assert found is not None
    assert found.methods == {"GET": "list", "DELETE": "end all"}
    assert found.parameters == {}


def test_parameters_are_path_segments():
    found = TABLE.find("/auth/users/acc_1/roles/é admin")
    assert found is not None
    assert found.methods["GET"] == "role"
    assert found.parameters == {"id": "acc_1", "name": "é admin"}


def test_text_after_a_parameter_is_literal():
    assert TABLE.find("/auth/files/x.json").parameters == {"name": "x"}


def test_one_pattern_groups_its_methods():
    assert set(TABLE.find("/auth/users/1/roles/2").methods) == {"GET", "PUT"}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/auth/me/",
        "//auth/me",
        "/auth//me",
        "/AUTH/me",
        "/auth/me\n",
        "/auth/../auth/me",
        "/auth/sessions/",
        "/auth/sessions/a/b",
        "/auth/sessions/a\0b",
        "/auth/sessions/a\n",
        "/auth/sessions/\x7f",
        "/auth/sessions/\ud800",
        "/auth/sessions/a\u2028b",
        "/auth/sessions/" + "x" * 129,
        "/auth/sessions/.",
        "/auth/sessions/..",
        "/auth/axb",
        "/auth/files/x-json",
        "auth/me",
    ],
)
def test_other_paths_match_nothing(path):
    assert TABLE.find(path) is None


def sent(raw, root=""):
    """The scope that a server makes of a request."""
    scope = {"path": root + urllib.parse.unquote(raw), "raw_path": root.encode() + raw.encode(), "root_path": root}
    return TABLE.find_in(scope)


@pytest.mark.parametrize(
    "raw",
    [
        "/auth%2Fme",
        "/auth%2fme",
        "/auth/%6de",
        "/%61uth/me",
        "/auth/me%00",
        "/auth/me%2F",
        "/auth/%2e%2e/auth/me",
        "/auth/%2e/me",
        "/auth//me",
        "/auth/me;x",
        "/auth/me%3Bx",
        "/auth/sessions%2Fses_1",
        "/auth/sessions/a%2Fb",
        "/auth/sessions/%2e%2e",
        "/auth/sessions/%2E",
        "/auth/sessions/a%00b",
        "/auth/sessions/%ff",
        "/auth/sess%69ons/a",
        "/x/auth%2Fme",
    ],
)
@pytest.mark.parametrize("root", ["", "/app", "/a/b"])
def test_an_escaped_path_never_reaches_a_route_past_the_rules_of_a_proxy(raw, root):
    """`/auth%2Fme` reached `/auth/me` past a proxy that matches the path as it was sent."""
    assert sent(raw, root) is None


@pytest.mark.parametrize("root", ["", "/app"])
def test_parameters_may_be_escaped(root):
    found = sent("/auth/users/acc%5F1/roles/%C3%A9%20100%2525", root)
    assert found.parameters == {"id": "acc_1", "name": "é 100%25"}
    assert sent("/auth/sessions/a;b", root).parameters == {"id": "a;b"}


def test_a_server_that_passes_on_no_raw_path_is_served():
    assert TABLE.find_in({"path": "/auth/sessions/50%25", "raw_path": None}).parameters == {"id": "50%25"}


def test_a_mount_removed_from_only_one_path_is_handled():
    scope = {"path": "/auth/sessions/a b", "raw_path": b"/app/auth/sessions/a%20b", "root_path": "/app"}
    assert TABLE.find_in(scope).parameters == {"id": "a b"}
    assert TABLE.find_in({**scope, "raw_path": b"/app/auth%2Fsessions/a%20b"}) is None


def test_a_duplicate_route_is_an_error():
    with pytest.raises(TypeError, match="GET /a is defined twice"):
        Table([("GET", "/a", 1), ("GET", "/a", 2)])
    with pytest.raises(TypeError, match=r"GET /a/\{x\} is defined twice"):
        Table([("GET", "/a/{x}", 1), ("GET", "/a/{x}", 2)])


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_one_pattern_with_two_parameter_names_is_an_error(method):
    """The second handler would look for its parameter under a name that does not exist."""
    with pytest.raises(TypeError, match=r"/a/\{y\}: another route with this path names its parameters differently"):
        Table([("GET", "/a/{x}", 1), (method, "/a/{y}", 2)])


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/auth/me", "", "/auth/me"),
        ("/app/auth/me", "/app", "/auth/me"),
        ("/app", "/app", ""),
        ("/application/auth/me", "/app", "/application/auth/me"),
        ("/auth/me", "/app", "/auth/me"),
    ],
)
def test_a_mounted_app_sees_the_path_below_its_mount(path, root, expected):
    assert path_of({"path": path, "root_path": root}) == expected
