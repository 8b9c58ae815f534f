"""`Principal`: a verified caller."""

import pytest

from ostiary.errors import ClaimRejected, Forbidden
from ostiary.verifier import Principal
from tests.verifier.material import access_token


def test_a_principal_has_the_data_of_its_token():
    token = access_token()
    me = Principal.of(token)
    assert (me.account_id, me.session_id, me.client_id) == ("acc_1", "session-1", "client_first_party")
    assert (me.roles, me.scope) == ({"user", "editor"}, {"orders:read", "orders:write"})
    assert (me.auth_time, me.acr, me.amr, me.token) == (token.auth_time, token.acr, token.amr, token)
    assert me.is_account
    assert me.has_role("editor")
    assert not me.has_role("edit")
    assert not me.has_role("admin")


def test_o17_a_service_client_is_not_an_account():
    service = Principal.of(access_token(sub="client_reports"))
    assert not service.is_account
    with pytest.raises(Forbidden):
        _ = service.account_id


@pytest.mark.parametrize("sub", ["1", "account_1", "ACC_1", "acc", " acc_1", "xacc_1", "Client_1"])
def test_o17_sub_must_name_an_account_or_a_client(sub):
    with pytest.raises(ClaimRejected):
        Principal.of(access_token(sub=sub))


def test_a_principal_is_immutable():
    me = Principal.of(access_token())
    with pytest.raises(AttributeError):
        me.roles = frozenset({"admin"})
    with pytest.raises(AttributeError):
        me.roles.add("admin")


def test_an_empty_scope_is_an_empty_set():
    assert Principal.of(access_token(scope="")).scope == frozenset()
