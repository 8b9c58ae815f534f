"""The slice is optional: an installation without it has no feed, and everything else works."""

from ostiary.app import slices
from tests.core.installation import installation
from tests.features.feed.service import service_of


async def test_without_the_slice_there_is_no_feed_and_no_feed_in_the_metadata(sqlite_url, monkeypatch):
    monkeypatch.setattr(slices, "FEATURES", tuple(feature for feature in slices.FEATURES if feature.name != "feed"))
    async with installation(sqlite_url) as house:
        assert (await (await service_of(house)).ask()).status_code == 404
        metadata = (await house.ask("GET", "/.well-known/oauth-authorization-server")).json()
        assert "ostiary_feed_endpoint" not in metadata
        assert {"revocation_endpoint", "introspection_endpoint"} <= set(metadata)
        assert "/auth/feed" not in house.auth.openapi()["paths"]
        tokens = await house.session(await house.person())
        await house.post("/logout", {"refresh_token": tokens.refresh})
        assert not await house.is_let_in(tokens.access)
