"""Rotating the master secret: both are configured, everything is sealed again, and the old one is removed."""

import ast
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ostiary.app.slices import CORE, FEATURES
from ostiary.core.plug import Actor
from ostiary.core.tokens.keys import service
from ostiary.core.vault import Vault
from ostiary.errors import ConfigurationError
from ostiary.features.totp.factors import seal, unseal
from ostiary.features.totp.model import Enrolled
from ostiary.testing.world import FrozenClock, Outbox
from tests.architecture.source import modules
from tests.core.installation import SECRET, Installation, opened, ostiary
from tests.core.tokens.key_life import key_events, pass_time, rotated, timing

NEW = "Hq8vN2rT6wZ0bC4dF7gJ9kL1mP3sU5xY8aE2iO6qR4t"
OPERATOR = Actor.operator("test")
PEOPLE = 250  # more than one transaction seals again


@asynccontextmanager
async def with_secret(url: str, secret: str, clock: FrozenClock) -> AsyncIterator[Installation]:
    house = ostiary(url, clock, Outbox(), secret=secret)
    await house.migrate()
    async with opened(house, clock, Outbox()) as opened_house:
        yield opened_house


async def seal_for_all_accounts(house: Installation) -> list[str]:
    ids = [(await house.person(f"person{number}@example.com")).id for number in range(PEOPLE)]

    async def body(tx):
        for account_id in ids:
            await tx.execute(
                "insert into totp_secrets (account_id, sealed_secret, expires_at, last_step) values ($1, $2, $3, 0)",
                account_id,
                seal(house.ambient, account_id, account_id.encode()),
                house.clock.now() * 2,
            )

    await house.ambient.database.transaction(body)
    return ids


async def all_sealed(house: Installation) -> list[bytes]:
    """Every sealed value in any table of the database, recognised by its first bytes."""
    identifiers = [Vault([text.encode()], random=house.ambient.random).newest_prefix for text in (SECRET, NEW)]
    found = []
    for table, column in await columns_of_bytes(house):
        values = await house.rows(f"select {column} from {table} where {column} is not null")
        found += [value for (value,) in values if bytes(value).startswith(tuple(identifiers))]
    return found


async def columns_of_bytes(house: Installation) -> list[tuple[str, str]]:
    if house.auth.settings.database.startswith("sqlite"):
        tables = await house.rows("select name from sqlite_master where type = 'table'")
        listed = [(name, await house.rows(f"select name, type from pragma_table_info('{name}')")) for (name,) in tables]
        return [(table, name) for table, columns in listed for name, type_ in columns if type_ == "bytea"]
    sql = "select table_name, column_name from information_schema.columns where data_type = 'bytea'"
    return [tuple(row) for row in await house.rows(f"{sql} and table_schema = 'public'")]


async def test_after_rewrapping_the_old_secret_is_no_longer_needed(own_url):
    clock = FrozenClock()
    async with with_secret(own_url, SECRET, clock) as house:
        await rotated(house)
        await service.rotate(house.ambient, OPERATOR)
        access = (await house.session(await house.person("ada@example.com"))).access
        ids = await seal_for_all_accounts(house)
    async with with_secret(own_url, f"{NEW} {SECRET}", clock) as house:
        assert await house.is_let_in(access)
        assert await house.auth.rewrap(OPERATOR) == {"tokens": 3, "totp": PEOPLE}
        assert await house.auth.rewrap(OPERATOR) == {"tokens": 0, "totp": 0}
        assert [type_ for type_, _ in await key_events(house)].count("keys.rewrapped") == 2
        newest = house.ambient.vault.newest_prefix
        sealed = await all_sealed(house)
        assert len(sealed) == PEOPLE + 3
        assert all(bytes(value).startswith(newest) for value in sealed)
    async with with_secret(own_url, NEW, clock) as house:
        assert await house.is_let_in(access)
        await pass_time(house, timing(house).overlap)
        for account_id, sealed_secret in await house.rows("select account_id, sealed_secret from totp_secrets"):
            assert unseal(house.ambient, Enrolled(account_id, sealed_secret, 0)) == account_id.encode()
        assert {row[0] for row in await house.rows("select account_id from totp_secrets")} == set(ids)
    with pytest.raises(ConfigurationError, match="another secret"):
        await ostiary(own_url, clock, Outbox(), secret=SECRET).open()


async def test_a_value_sealed_with_an_unknown_secret_is_reported_and_kept(sqlite_url):
    clock = FrozenClock()
    async with with_secret(sqlite_url, SECRET, clock) as house:
        person = await house.person()
        strange = Vault([b"nobody knows this one"], random=house.ambient.random)
        sealed = strange.seal(b"secret", purpose="totp", row=person.id)
        await house.ambient.database.execute(
            "insert into totp_secrets (account_id, sealed_secret, expires_at, last_step) values ($1, $2, 1, 0)",
            person.id,
            sealed,
        )
        with pytest.raises(ConfigurationError, match="another secret"):
            await house.auth.rewrap(OPERATOR)
        assert await house.rows("select sealed_secret from totp_secrets") == [(sealed,)]
        assert "keys.rewrapped" not in dict(await key_events(house))


def test_every_slice_that_seals_values_provides_rewrap():
    """A value that is not sealed again would be lost with the old secret."""
    stated = {feature.name for feature in (*CORE, *FEATURES) if feature.rewrap is not None}
    sealing = {
        module.name.split(".")[2]
        for module in modules()
        if module.name.startswith(("ostiary.core.", "ostiary.features.")) and module.name != "ostiary.core.vault"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == "seal" and "vault" in ast.unparse(node.value)
    }
    assert sealing == stated
