"""Which engine a URL selects, and the error for a URL that selects none."""

import urllib.parse
from pathlib import Path

import pytest

from ostiary.errors import ConfigurationError
from ostiary.store.open import database_from_url, hot_from_url, sqlite_path
from ostiary.store.postgres.database import PostgresDatabase
from ostiary.store.sqlite.database import SqliteDatabase
from ostiary.store.valkey_hot import ValkeyHot
from ostiary.store.valkey_url import parsed

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///ostiary.db", "ostiary.db"),
        ("sqlite:///data/ostiary.db", "data/ostiary.db"),
        ("sqlite:////var/lib/ostiary.db", "/var/lib/ostiary.db"),
        ("sqlite:////my%20data/a%3Fb.db", "/my data/a?b.db"),
    ],
)
def test_sqlite_urls_select_a_file(url, path):
    assert sqlite_path(url) == Path(path)
    assert isinstance(database_from_url(url), SqliteDatabase)


@pytest.mark.parametrize(
    "url", ["postgresql://h/d", "postgres://u:p@h:5433/d", "postgresql://h/d?pooler=true&sslmode=require"]
)
def test_postgresql_urls_select_a_server(url):
    assert sqlite_path(url) is None
    assert isinstance(database_from_url(url), PostgresDatabase)


@pytest.mark.parametrize(
    "url",
    [
        "valkey://h",
        "valkeys://u:p@h:6380/1",
        "redis://h",
        "rediss://h?ssl_ca_certs=/ca.pem",
        "valkey://:p%23@[::1]:6379",
        "valkey+sentinel://u:p@h1,h2:26380/mymaster",
        "rediss+sentinel://h1/mymaster/2?sentinel_username=u&sentinel_password=p&ssl_ca_certs=/ca.pem",
        "valkey+cluster://u:p@h1,h2:7000",
        "rediss+cluster://h1/0",
    ],
)
def test_valkey_urls_select_a_server(url):
    assert isinstance(hot_from_url(url), ValkeyHot)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ostiary.db",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite://relative.db",
        "sqlite:///folder/",
        "sqlite:///a.db?mode=memory",
        "sqlite:///a%00.db",
        "sqlite:///:memory:",
        f"mysql://somebody:{SECRET}@h/d",
        f"postgresql+asyncpg://somebody:{SECRET}@h/d",
        f"postgresql://somebody:{SECRET}@h:port/d",
        f"postgresql://somebody:{SECRET}@[h/d",
        f"postgresql://somebody:{SECRET}@h/d?pooler=perhaps",
        f"postgresql://somebody:{SECRET}@h/d?pooler=true&pooler=false",
        f"somebody:{SECRET}@h",
    ],
)
def test_other_urls_are_refused_in_one_line_without_the_password(url):
    with pytest.raises(ConfigurationError) as refused:
        database_from_url(url)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("password", ["a+b", "a&b=c", "ä %2B"])
def test_a_password_means_the_same_everywhere_in_a_url(password):
    """A plus is a plus, as in every other place and in URLs for PostgreSQL. Only forms of HTML mean a space."""
    given = urllib.parse.quote(password, safe="+")
    target = parsed(f"valkey+sentinel://:{given}@h/mymaster?sentinel_password={given}")
    assert target.login == target.sentinel_login == {"password": password}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "valkey",
        "sqlite:///a.db",
        f"http://somebody:{SECRET}@h",
        f"valkey://somebody:{SECRET}@h:port",
        "valkey://",
        "valkey://h/one",
        "valkey://h?db=1",
        "valkey://h1,h2",
        f"valkey://:{SECRET}#@h",
        f"valkey://:{SECRET}/@h",
        f"valkey://:{SECRET}%@h",
        f"valkey://:{SECRET}@h:0",
        f"valkey://h?sentinel_password={SECRET}",
        f"valkey+sentinel://:{SECRET}@h1,h2",
        f"valkey+sentinel://:{SECRET}@h1,,h2/mymaster",
        f"valkey+sentinel://h1/mymaster?sentinel_password={SECRET}&sentinel_password=b",
        f"valkey+sentinel://h1/mymaster?sentinel_password={SECRET}%FF",
        f"valkey://:{SECRET}%FF@h",
        f"valkey+sentinel://h1/mymaster?{SECRET}",
        f"valkey+cluster://:{SECRET}@h1/1",
        f"valkey+other://:{SECRET}@h1",
    ],
)
def test_other_urls_for_counters_are_refused_in_one_line_without_the_password(url):
    with pytest.raises(ConfigurationError) as refused:
        hot_from_url(url)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)
