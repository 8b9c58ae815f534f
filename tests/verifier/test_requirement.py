"""`Requirement`: what a route requires, tested at the boundaries, and mistakes that fail at start-up."""

import math

import pytest

from ostiary.errors import (
    ConfigurationError,
    Forbidden,
    InsufficientScope,
    InsufficientUserAuthentication,
    MissingCredential,
)
from ostiary.verifier import AAL1, AAL2, MAX_LEEWAY, Principal, Requirement
from tests.verifier.material import NOW, access_token

ROLE_MAP = {"user": {"orders:read"}, "editor": {"orders:read", "orders:write"}, "admin": {"users:write"}}


def me(**claims):
    return Principal.of(access_token(**claims))


def passes(principal, **parameters):
    """Returns True, or the class of the error."""
    try:
        Requirement(**parameters).check(principal, now=NOW)
    except (MissingCredential, Forbidden, InsufficientUserAuthentication) as error:
        return type(error)
    return True


def test_without_parameters_any_authenticated_caller_passes():
    assert passes(me()) is True
    assert passes(None) is MissingCredential


def test_optional_admits_missing_credentials_but_checks_present_ones():
    assert passes(None, optional=True) is True
    assert passes(None, optional=True, role="admin", aal=2) is True
    assert passes(me(), optional=True, role="admin") is Forbidden
    assert passes(me(), optional=True, role="user") is True


def test_k1_one_of_the_roles_is_enough():
    assert passes(me(), role="editor") is True
    assert passes(me(), role=("admin", "editor")) is True
    assert passes(me(), role="admin") is Forbidden
    assert passes(me(), role=("admin", "moderator")) is Forbidden
    assert passes(me(roles=()), role="user") is Forbidden
    assert passes(me(), role="edit") is Forbidden
    assert passes(me(roles=("Admin", "admin ")), role="admin") is Forbidden


def test_k1_permissions_come_from_roles():
    assert passes(me(), permission="orders:write", role_map=ROLE_MAP) is True
    assert passes(me(), permission="users:write", role_map=ROLE_MAP) is Forbidden
    assert passes(me(roles=("unknown",)), permission="orders:read", role_map=ROLE_MAP) is Forbidden
    assert passes(me(roles=()), permission="orders:read", role_map=ROLE_MAP) is Forbidden
    assert passes(me(), permission="orders:read", role="admin", role_map=ROLE_MAP) is Forbidden


def test_changes_of_the_role_map_take_effect():
    role_map = {"editor": {"orders:write"}}
    requirement = Requirement(permission="orders:write", role_map=role_map)
    requirement.check(me(), now=NOW)
    role_map["editor"] = set()
    with pytest.raises(Forbidden):
        requirement.check(me(), now=NOW)


def test_k3_every_scope_is_required():
    assert passes(me(), scope="orders:read") is True
    assert passes(me(), scope="orders:write orders:read") is True
    assert passes(me(), scope="orders:read users:read") is InsufficientScope
    assert passes(me(scope=""), scope="orders:read") is InsufficientScope
    assert passes(me(scope="orders:reader"), scope="orders:read") is InsufficientScope


def test_the_refusal_names_the_scope():
    with pytest.raises(InsufficientScope) as caught:
        Requirement(scope="users:read").check(me(), now=NOW)
    assert caught.value.scope == "users:read"


@pytest.mark.parametrize(
    ("acr", "level"),
    [(AAL1, 1), (AAL2, 2), ("", 0), ("urn:ostiary:aal:3", 0), ("2", 0), (AAL2 + " ", 0), (AAL2.upper(), 0)],
)
def test_l25_assurance_levels(acr, level):
    for aal in (1, 2):
        assert passes(me(acr=acr), aal=aal) is (True if level >= aal else InsufficientUserAuthentication)


def test_l25_max_age_is_checked_to_the_second():
    for age, passing in ((0, True), (299, True), (300, True), (301, False)):
        expected = True if passing else InsufficientUserAuthentication
        assert passes(me(auth_time=NOW - age), max_age=300) is expected
    assert passes(me(auth_time=NOW), max_age=0) is True
    assert passes(me(auth_time=NOW - 1), max_age=0) is InsufficientUserAuthentication


def test_a_sign_in_does_not_become_recent_because_the_clock_was_set_back():
    """Clocks of two machines may differ a little, so a sign-in that is just ahead of ours counts as new."""
    assert passes(me(auth_time=NOW + MAX_LEEWAY), max_age=300) is True
    for ahead in (MAX_LEEWAY + 1, 3600, 10**9):
        assert passes(me(auth_time=NOW + ahead), max_age=300) is InsufficientUserAuthentication
        assert passes(me(auth_time=NOW + ahead), max_age=10**9) is InsufficientUserAuthentication


def test_a_sign_in_is_too_old_if_the_clock_returns_nan():
    with pytest.raises(InsufficientUserAuthentication):
        Requirement(max_age=300).check(me(auth_time=NOW), now=math.nan)


def test_l25_the_refusal_says_what_is_required():
    with pytest.raises(InsufficientUserAuthentication) as caught:
        Requirement(aal=2, max_age=300).check(me(), now=NOW)
    assert (caught.value.acr_values, caught.value.max_age) == (AAL2, 300)
    with pytest.raises(InsufficientUserAuthentication) as caught:
        Requirement(max_age=0).check(me(), now=NOW)
    assert (caught.value.acr_values, caught.value.max_age) == (None, 0)


def test_a_caller_without_permission_is_not_asked_to_sign_in_again():
    assert passes(me(), role="admin", aal=2) is Forbidden


@pytest.mark.parametrize(
    "parameters",
    [
        *(
            {"role": ""},
            {"role": ()},
            {"role": ["admin"]},
            {"role": ("admin", "")},
            {"role": ("admin", None)},
            {"role": 5},
            {"role": ("admin", 5)},
        ),
        *(
            {"permission": ""},
            {"permission": 5, "role_map": {}},
            {"permission": "users:read"},
            {"permission": "", "role_map": {}},
        ),
        *(
            {"scope": ""},
            {"scope": " a"},
            {"scope": "a  b"},
            {"scope": 'a"b'},
            {"scope": "a\\b"},
            {"scope": "é"},
            {"scope": ("a",)},
        ),
        *({"aal": 0}, {"aal": 3}, {"aal": True}, {"aal": "2"}, {"aal": 1.0}),
        *({"max_age": -1}, {"max_age": 1.5}, {"max_age": math.nan}, {"max_age": True}, {"max_age": "300"}),
    ],
)
def test_an_invalid_requirement_fails_when_it_is_created(parameters):
    with pytest.raises(ConfigurationError):
        Requirement(**parameters)
