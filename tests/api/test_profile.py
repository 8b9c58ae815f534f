"""The application's own account fields are validated, stored and returned, and never cause a 500."""

import dataclasses
import json
import logging
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

from ostiary import Ostiary
from ostiary.api import WRITABLE
from ostiary.core.plug import Profile
from ostiary.errors import ConfigurationError, Conflict, InvalidBody, NotFound
from ostiary.settings import AccountSettings, RegistrationSettings
from tests.core.installation import EMAIL, PASSWORD, installation, tokens_of


class AsStruct(msgspec.Struct, kw_only=True):
    nickname: Annotated[str, WRITABLE, msgspec.Meta(max_length=20)] = ""
    tags: Annotated[list[str], WRITABLE] = []
    plan: str = "free"


@dataclass(kw_only=True)
class AsDataclass:
    nickname: Annotated[str, WRITABLE, msgspec.Meta(max_length=20)] = ""
    tags: Annotated[list[str], WRITABLE] = field(default_factory=list)
    plan: str = "free"


class AsModel(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    nickname: Annotated[str, WRITABLE] = Field(default="", max_length=20)
    tags: Annotated[list[str], WRITABLE] = []
    plan: str = "free"


KINDS = [AsStruct, AsDataclass, AsModel]


async def register(house, profile=None, **options):
    body = {"email": EMAIL, "password": PASSWORD} | ({} if profile is None else {"profile": profile})
    return await house.post("/register", body, **options)


async def signed_in(house):
    return tokens_of(await house.login()).access


@pytest.mark.parametrize("shape", KINDS)
async def test_a_profile_is_set_at_registration_changed_by_its_owner_and_returned(database_url, shape):
    async with installation(database_url, profile=shape) as house:
        answer = await register(house, {"nickname": "ada"})
        assert answer.status_code == 202, answer.text
        token = await signed_in(house)
        me = (await house.get("/me", token=token)).json()
        assert me["account"]["profile"] == {"nickname": "ada", "tags": [], "plan": "free"}
        changed = await house.ask("PATCH", "/auth/me", {"profile": {"tags": ["x"]}}, token=token)
        assert changed.status_code == 200, changed.text
        assert changed.json()["profile"] == {"nickname": "ada", "tags": ["x"], "plan": "free"}
        account = await house.auth.accounts.by_email(EMAIL)
        assert account.profile == shape(nickname="ada", tags=["x"])
        assert isinstance(account.profile, shape)
        (event,) = await house.events("accounts.profile_changed")
        assert event["account_id"] == account.id


@pytest.mark.parametrize("shape", KINDS)
@pytest.mark.parametrize(
    "profile",
    [
        {"plan": "pro"},
        {"nickname": 5},
        {"nickname": "x" * 21},
        {"nick": "ada"},
        [],
        "ada",
        {"tags": "x"},
        {"tags": [1]},
    ],
    ids=str,
)
async def test_an_invalid_profile_is_422_and_changes_nothing(sqlite_url, shape, profile):
    """Only the application may write a field without WRITABLE. Otherwise PATCH {"profile": {"plan": "pro"}} would be an
    upgrade."""
    async with installation(sqlite_url, profile=shape) as house:
        answer = await register(house, profile)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body"), answer.text
        assert await house.rows("select id from accounts") == []
        await register(house)
        token = await signed_in(house)
        answer = await house.ask("PATCH", "/auth/me", {"profile": profile}, token=token)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body"), answer.text
        assert (await house.auth.accounts.by_email(EMAIL)).profile == shape()


async def test_the_profile_of_a_pending_registration_is_kept_until_the_link_is_used(database_url):
    async with installation(
        database_url, RegistrationSettings(require_verified_email=True), profile=AsDataclass
    ) as house:
        await register(house, {"nickname": "ada"})
        link = (await house.mails())[-1].text.partition("#")[2].split()[0]
        await house.post("/email/verify", {"token": link, "password": PASSWORD})
        assert (await house.auth.accounts.by_email(EMAIL)).profile == AsDataclass(nickname="ada")


async def test_the_application_writes_every_field_and_detects_concurrent_changes(database_url):
    async with installation(database_url, profile=AsStruct) as house:
        made = await house.auth.accounts.create(email=EMAIL, password=PASSWORD, profile=AsStruct(plan="pro"))
        assert made.profile == AsStruct(plan="pro")
        better = await house.auth.accounts.update(made.id, profile=AsStruct(plan="max"), if_version=made.version)
        assert (better.profile.plan, better.version) == ("max", made.version + 1)
        with pytest.raises(Conflict):
            await house.auth.accounts.update(made.id, profile=AsStruct(plan="free"), if_version=made.version)
        assert (await house.auth.accounts.get(made.id)).profile.plan == "max"
        with pytest.raises(TypeError, match="AsStruct"):
            await house.auth.accounts.update(made.id, profile={"plan": "pro"})
        (listed,) = (await house.auth.accounts.list()).items
        assert listed == await house.auth.accounts.get(made.id)


async def test_stored_fields_that_the_class_no_longer_has_are_kept(sqlite_url):
    async with installation(sqlite_url, profile=AsStruct) as house:
        await register(house, {"nickname": "ada"})
        await house.ambient.database.execute(
            "update account_profiles set profile = $1", json.dumps({"nickname": "ada", "former": [1]})
        )
        token = await signed_in(house)
        await house.ask("PATCH", "/auth/me", {"profile": {"nickname": "countess"}}, token=token)
        ((stored,),) = await house.rows("select profile from account_profiles")
        assert json.loads(stored) == {"nickname": "countess", "former": [1], "tags": [], "plan": "free"}


@pytest.mark.parametrize("shape", KINDS)
async def test_a_stored_profile_that_no_longer_fits_is_reported_and_never_a_500(sqlite_url, shape, caplog):
    async with installation(sqlite_url, profile=shape) as house:
        await register(house, {"nickname": "ada"})
        token = await signed_in(house)
        await house.ambient.database.execute("update account_profiles set profile = '{\"nickname\": 5}'")
        with caplog.at_level(logging.WARNING, "ostiary.accounts"):
            me = await house.get("/me", token=token)
        assert (me.status_code, me.json()["account"]["profile"]) == (200, None)
        assert [record.getMessage() for record in caplog.records] == ["profile.unfit"]
        account = await house.auth.accounts.by_email(EMAIL)
        assert account.profile is None
        assert "nickname" in account.profile_problem


async def test_the_size_of_a_profile_is_limited(sqlite_url):
    async with installation(sqlite_url, profile=AsStruct) as house:
        answer = await register(house, {"tags": ["x" * 9000]})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
        assert "8192" in answer.text


async def test_accounts_older_than_the_class_have_its_defaults(sqlite_url):
    async with installation(sqlite_url, profile=AsModel) as house:
        ada = await house.person()
        assert (await house.auth.accounts.get(ada.id)).profile == AsModel()


async def test_without_a_class_profiles_are_refused_and_cannot_be_changed(sqlite_url):
    async with installation(sqlite_url) as house:
        assert (await register(house, {"nickname": "ada"})).status_code == 422
        await register(house)
        token = await signed_in(house)
        assert "profile" not in (await house.get("/me", token=token)).json()["account"]
        assert (await house.ask("PATCH", "/auth/me", {"profile": {}}, token=token)).status_code == 405
        with pytest.raises(InvalidBody):
            await house.auth.accounts.update("acc_x", profile={})


def test_openapi_describes_the_profile():
    document = Ostiary(profile=AsStruct, environ={}, config=None).openapi()
    schemas = document["components"]["schemas"]
    assert set(schemas["ProfileFields"]["properties"]) == {"nickname", "tags"}
    assert schemas["ProfileFields"]["additionalProperties"] is False
    assert "profile" in schemas["Register"]["properties"]
    assert "patch" in document["paths"]["/auth/me"]
    assert set(schemas["AsStruct"]["properties"]) == {"nickname", "tags", "plan"}


def test_an_unsuitable_profile_class_is_refused_at_once():
    class Renamed(msgspec.Struct, rename="camel"):
        first_name: str = ""

    required = dataclasses.make_dataclass("Required", [("plan", str)])
    for shape, words in ((Renamed, "renamed"), (required, "plan needs a default"), (int, "must be"), (dict, "must be")):
        with pytest.raises(ConfigurationError, match=words):
            Ostiary(profile=shape, environ={}, config=None)


class Broken(msgspec.Struct, kw_only=True):
    tz: Annotated[str, WRITABLE] = "Europe/Berlin"

    def __post_init__(self) -> None:
        if self.tz == "No/Where":
            raise KeyError(self.tz)


@dataclass(kw_only=True)
class BrokenToo:
    tz: Annotated[str, WRITABLE] = "Europe/Berlin"

    def __post_init__(self) -> None:
        if self.tz == "No/Where":
            raise KeyError(self.tz)


class BrokenModel(BaseModel):
    tz: Annotated[str, WRITABLE] = "Europe/Berlin"

    @field_validator("tz")
    @classmethod
    def known(cls, value: str) -> str:
        if value == "No/Where":
            raise KeyError(value)
        return value


@pytest.mark.parametrize("shape", [Broken, BrokenToo, BrokenModel])
async def test_whatever_a_class_raises_is_a_refusal_and_never_a_500(sqlite_url, shape):
    """A validator that looks up a time zone raises KeyError: one such row must not break the list for everybody."""
    async with installation(sqlite_url, profile=shape) as house:
        assert (await register(house, {"tz": "No/Where"})).status_code == 422
        await register(house)
        token = await signed_in(house)
        answer = await house.ask("PATCH", "/auth/me", {"profile": {"tz": "No/Where"}}, token=token)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
        assert "Where" not in answer.text
        await house.ambient.database.execute('update account_profiles set profile = \'{"tz": "No/Where"}\'')
        assert (await house.get("/me", token=token)).json()["account"]["profile"] is None
        (listed,) = (await house.auth.accounts.list()).items
        assert (listed.profile, listed.profile_problem) == (None, "`profile` is not valid")


async def test_text_that_cannot_be_stored_is_refused(sqlite_url):
    async with installation(sqlite_url, profile=AsStruct) as house:
        made = await house.auth.accounts.create(email=EMAIL, password=PASSWORD)
        with pytest.raises(InvalidBody):
            await house.auth.accounts.update(made.id, profile=AsStruct(nickname="\ud800"))


async def test_changes_of_the_own_profile_are_limited(sqlite_url):
    """Each is a row in the audit log."""
    async with installation(sqlite_url, AccountSettings(profile_limit="3/minute"), profile=AsStruct) as house:
        await register(house)
        token = await signed_in(house)
        changes = [{"profile": {"nickname": f"n{number}"}} for number in range(5)]
        answers = [await house.ask("PATCH", "/auth/me", change, token=token) for change in changes]
        assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
        assert len(await house.events("accounts.profile_changed")) == 3


async def test_a_change_that_changes_nothing_writes_nothing(database_url):
    """Each row in the audit log stays, and the version would make a concurrent change fail."""
    async with installation(database_url, profile=AsStruct) as house:
        made = await house.auth.accounts.create(email=EMAIL, password=PASSWORD)
        token = await signed_in(house)
        same = await house.auth.accounts.update(made.id, profile=made.profile, if_version=made.version)
        assert same.version == made.version
        for body in ({"profile": {}}, {"profile": {"nickname": made.profile.nickname}}):
            assert (await house.ask("PATCH", "/auth/me", body, token=token)).status_code == 200
        assert await house.events("accounts.profile_changed") == []
        with pytest.raises(Conflict):
            await house.auth.accounts.update(made.id, profile=made.profile, if_version=made.version + 1)
        with pytest.raises(NotFound):
            await house.auth.accounts.update("acc_none", profile=made.profile)
        assert (await house.get("/me", token=token)).json()["account"]["profile"]["nickname"] == made.profile.nickname


@pytest.mark.parametrize("odd", ["1", 1.0, True, b"1"], ids=repr)
async def test_a_version_of_another_type_is_refused(database_url, odd):
    async with installation(database_url, profile=AsStruct) as house:
        made = await house.auth.accounts.create(email=EMAIL, password=PASSWORD)
        with pytest.raises(TypeError, match="if_version must be an int"):
            await house.auth.accounts.update(made.id, profile=AsStruct(nickname="x"), if_version=odd)


@pytest.mark.parametrize("hint", [Annotated[str, WRITABLE] | None, list[Annotated[str, WRITABLE]]], ids=str)
def test_a_mark_inside_a_type_is_refused_because_it_would_have_no_effect(hint):
    shape = msgspec.defstruct("Inside", [("nickname", hint, None)])
    with pytest.raises(ConfigurationError, match=r"nickname has WRITABLE inside its type. Write Annotated\[str"):
        Profile(shape)


class Unshowable(BaseModel):
    nickname: Annotated[str, WRITABLE] = ""

    @field_serializer("nickname")
    def shown(self, value: str) -> str:
        if value == "odd":
            raise KeyError(value)
        return value


async def test_a_profile_that_can_be_read_and_not_shown_is_reported_like_any_other(sqlite_url, caplog):
    async with installation(sqlite_url, profile=Unshowable) as house:
        await register(house)
        token = await signed_in(house)
        await house.ambient.database.execute('update account_profiles set profile = \'{"nickname": "odd"}\'')
        me = await house.get("/me", token=token)
        assert (me.status_code, me.json()["account"]["profile"]) == (200, None)
        assert "profile.unfit" in [record.getMessage() for record in caplog.records]
