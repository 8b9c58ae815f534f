"""The slice is optional: without it sign-in works, and its routes, tables and fields do not exist."""

import pytest

from ostiary.app import slices
from ostiary.errors import NoSuchTable
from tests.features.totp.installation import installation, registered


async def test_without_the_slice_the_password_alone_signs_in(own_url, monkeypatch):
    monkeypatch.setattr(slices, "FEATURES", tuple(feature for feature in slices.FEATURES if feature.name != "totp"))
    async with installation(own_url) as world:
        ada = await registered(world)
        assert (await world.ask("GET", "/me", token=ada.token)).json()["amr"] == ["pwd"]
        for path in ("/totp", "/totp/confirm", "/login/totp", "/login/recovery-code"):
            assert (await world.ask("POST", path, {}, token=ada.token)).status_code == 404
        assert "totp" not in str(world.auth.openapi())
        with pytest.raises(NoSuchTable):
            await world.rows("select 1 from totp_secrets")
