"""PostgreSQL URLs as servers, hosted databases and other clients print them: used, or refused by name."""

import asyncio
import secrets
import socket
import urllib.parse
from contextlib import asynccontextmanager

import asyncpg
import pytest

from ostiary.errors import ConfigurationError, StoreUnavailable
from ostiary.store.open import database_from_url
from ostiary.store.postgres import url as url_module
from ostiary.store.postgres.connections import Connections
from ostiary.store.postgres.url import Host, parse
from tests.cli.program import call

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _no_default_port(monkeypatch):
    monkeypatch.delenv("PGPORT", raising=False)


BASE = f"postgresql://somebody:{SECRET}@db.example/auth"


@asynccontextmanager
async def opened(url):
    database = database_from_url(url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("url", "place", "user", "password"),
    [
        ("postgresql://h/d", "h:5432/d", None, None),
        ("postgres://u:p%40ss%2Fw@h:5433/d", "h:5433/d", "u", "p@ss/w"),
        ("postgresql://u:a:b@[::1]:7/d", "[::1]:7/d", "u", "a:b"),
        ("postgresql://u@h1,h2:7,[fe80::1]/d", "h1:5432,h2:7,[fe80::1]:5432/d", "u", None),
        ("postgresql://h1,h2/d?port=1,2", "h1:1,h2:2/d", None, None),
        ("postgresql:///d?host=/var/run/postgresql", "/var/run/postgresql:5432/d", None, None),
        (
            "postgresql://u:hunter2@/d?host=/cloudsql/project:region:instance",
            "/cloudsql/project:region:instance:5432/d",
            "u",
            "hunter2",
        ),
        ("postgresql://u@localhost/d?host=/tmp&port=7", "/tmp:7/d", "u", None),
        ("postgresql://%2Ftmp/d", "/tmp:5432/d", None, None),
        ("postgresql://h?dbname=d&user=u&password=hunter2", "h:5432/d", "u", "hunter2"),
        ("postgresql://u@h/d?dbname=e&user=v", "h:5432/e", "v", None),
        ("postgresql://", "localhost:5432/", None, None),
    ],
)
def test_hosts_user_and_database_are_found(url, place, user, password):
    target = parse(url)
    assert (str(target), target.user, target.password) == (place, user, password)
    assert password is None or password not in repr(target)


HOSTED = {
    "Neon": "sslmode=verify-full&sslrootcert=system&channel_binding=require",
    "Neon without SNI": "sslmode=require&options=endpoint%3Dep-cool-darkness-123456",
    "Supabase on Vercel": "sslmode=require&supa=base-pooler.x",
    "Prisma": "schema=public&connection_limit=5&pool_timeout=10&socket_timeout=3&connect_timeout=15",
    "Prisma on Supabase": "pgbouncer=true&connection_limit=1",
    "Azure, DigitalOcean, Aiven": "sslmode=require",
    "Fly": "sslmode=disable",
    "libpq": "connect_timeout=10&keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3"
    "&tcp_user_timeout=5000&target_session_attrs=read-write&application_name=auth&gssencmode=disable"
    "&client_encoding=utf8&sslnegotiation=postgres&ssl_min_protocol_version=TLSv1.3",
    "Prisma behind a proxy": "pgbouncer=true&statement_cache_size=0",
    "two names": "application_name=auth&fallback_application_name=other&dbname=auth",
    "node-postgres": "sslmode=require&uselibpqcompat=true",
}


@pytest.mark.parametrize("name", HOSTED)
def test_urls_that_hosted_databases_print_are_understood(name):
    database_from_url(f"{BASE}?{HOSTED[name]}")


def test_parameters_are_used():
    target = parse(f"{BASE}?{HOSTED['Prisma']}&application_name=auth&options=-c%20geqo%3Doff")
    assert (target.most_connections, target.lend_seconds, target.statement_seconds) == (5, 10, 3)
    assert target.connect_seconds == 15
    assert target.session == {
        "application_name": "auth",
        "default_transaction_read_only": "on",
        "options": "-c geqo=off",
        "search_path": '"public"',
    }
    assert parse(f"{BASE}?pgbouncer=true").pooler
    assert not parse(f"{BASE}?pgbouncer=false").pooler
    assert parse(f"{BASE}?pooler=true&schema=public").session == {"application_name": "ostiary"}
    assert parse(f"{BASE}?statement_cache_size=0").cached_statements == 0
    assert parse(f"{BASE}?sslmode=disable&sslnegotiation=postgres").driver == {
        "sslmode": "disable",
        "sslnegotiation": "postgres",
    }
    assert parse(BASE).hosts == (Host("db.example", 5432),)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("channel_binding=require", "channel_binding"),
        ("sslmode=require&channel_binding=require", "sslmode=verify-full"),
        ("channel_binding=perhaps", "channel_binding"),
        ("sslmode=perhaps", "sslmode"),
        ("sslmode=require&sslrootcert=system", "sslrootcert=system"),
        ("sslrootcert=system&sslcert=/x", "sslcert"),
        ("sslrootcert=system&sslpassword=x", "sslpassword"),
        ("sslnegotiation=direct", "sslnegotiation"),
        ("sslnegotiation=direct&sslmode=prefer", "sslnegotiation"),
        ("ssl_min_protocol_version=TLSv1.4", "TLS versions"),
        ("sslmode=require&ssl_max_protocol_version=SSLv3", "TLS versions"),
        ("sslrootcert=/nowhere/root.crt", "sslrootcert"),
        ("passfile=/nowhere/pass", "passfile"),
        ("target_session_attrs=read-only", "target_session_attrs"),
        ("target_session_attrs=prefer-standby", "target_session_attrs"),
        ("gssencmode=require", "gssencmode"),
        ("load_balance_hosts=random", "load_balance_hosts"),
        ("client_encoding=latin1", "client_encoding"),
        ("connect_timeout=0", "connect_timeout"),
        ("connect_timeout=1.5", "connect_timeout"),
        ("connection_limit=0", "connection_limit"),
        ("keepalives_idle=-1", "keepalives_idle"),
        ("keepalives_idle=32768", "from 0 to 32767"),
        ("keepalives_interval=32768", "from 0 to 32767"),
        ("keepalives_count=128", "from 0 to 127"),
        ("tcp_user_timeout=600001", "tcp_user_timeout"),
        ("keepalives=perhaps", "keepalives"),
        ("pooler=perhaps", "pooler"),
        ("pooler=true&schema=auth", "schema"),
        ("pooler=true&pooler=false", "pooler"),
        ("ssl=true", "use sslmode"),
        ("sslaccept=strict", "sslaccept"),
        ("hostaddr=127.0.0.1", "hostaddr"),
        ("replication=true", "replication"),
        ("require_auth=scram-sha-256", "require_auth"),
        ("requiressl=1", "requiressl"),
        ("service=auth", "service"),
        ("conn_max_age=600", "conn_max_age"),
        ("sslmode", "a parameter"),
        (f"{SECRET}%21=1", "a parameter"),
        ("port=1,2", "port"),
        ("sslmode=", "sslmode in the database URL has no value"),
        ("options=", "has no value"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(query, says):
    """It is a configuration error before anything connects, and no reason to say that the server does not answer."""
    with pytest.raises(ConfigurationError) as refused:
        database_from_url(f"{BASE}?{query}")
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_with_such_a_url_does_not_start_and_says_why(tmp_path):
    """Exit code 2 and one line, as for every setting that is wrong. A retry would not help."""
    environ = {"OSTIARY_SECRET": secrets.token_hex(32), "OSTIARY_DATABASE": f"{BASE}?connection_limitt=5"}
    for command in ("serve", "migrate"):
        done = call(command, folder=tmp_path, environ=environ)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "connection_limitt in the database URL is not supported" in done.stderr


@pytest.mark.parametrize("character", ["#", "@", "/", "?", " ", "%", "\n", "?x=1&", "/x?y=", "@x/"])
def test_an_unencoded_character_in_the_password_is_refused_without_a_part_of_it(character):
    with pytest.raises(ConfigurationError) as refused:
        database_from_url(f"postgresql://somebody:Zq7{character}Xv9@db.example/auth")
    assert "percent-encode" in str(refused.value)
    assert not any(part in str(refused.value) for part in ("Zq7", "Xv9"))


@pytest.mark.parametrize(
    ("variable", "url", "ports"),
    [
        ("6543", "postgresql://h1,h2:7/d", [6543, 7]),
        ("6543", "postgresql://h/d?port=5", [5]),
        ("6543,6544", "postgresql://h1,h2/d", [6543, 6544]),
        ("1,2", "postgresql://h:5/d", [5]),
        ("", "postgresql://h/d", [5432]),
    ],
)
def test_without_a_port_it_is_where_libpq_looks(monkeypatch, variable, url, ports):
    monkeypatch.setenv("PGPORT", variable)
    assert [host.port for host in parse(url).hosts] == ports


@pytest.mark.parametrize("variable", ["x", "0", "65536", "1,2", " 5432"])
def test_an_invalid_default_port_is_refused_by_name(monkeypatch, variable):
    monkeypatch.setenv("PGPORT", variable)
    with pytest.raises(ConfigurationError, match="PGPORT"):
        database_from_url("postgresql://h/d")


@pytest.mark.parametrize("address", ["h:0", "h:65536", "h:x", "[h", "h]", "h1:1:2", "h1,h2:x"])
def test_an_invalid_host_or_port_is_refused(address):
    with pytest.raises(ConfigurationError, match="host or port"):
        database_from_url(f"postgresql://somebody:{SECRET}@{address}/auth")


@pytest.mark.parametrize("end", ["Xvizq=2", "Xvizq=", "Xvizq", "Xvizq=1&Xvizq=2"])
@pytest.mark.parametrize("name", ["password", "sslpassword"])
def test_an_unencoded_and_sign_in_the_password_shows_no_part_of_it(name, end):
    """It ends the parameter, and what follows looks like the name of another one."""
    with pytest.raises(ConfigurationError, match="a parameter") as refused:
        database_from_url(f"postgresql://db.example/auth?user=somebody&{name}=Zq7&{end}")
    assert not any(part in str(refused.value) for part in ("Zq7", "Xvi"))


def test_a_known_name_next_to_a_password_is_shown_with_its_hint():
    with pytest.raises(ConfigurationError, match="ssl in the database URL is not supported: use sslmode"):
        database_from_url("postgresql://db.example/auth?user=somebody&password=hunter2&ssl=true")


async def test_the_session_and_its_socket_are_as_the_url_says(postgres_url):
    query = "connect_timeout=7&keepalives_idle=31&application_name=doors&schema=elsewhere&options=-c%20geqo%3Doff"
    async with opened(f"{postgres_url}?{query}") as database:
        rows = await database.all(
            "select current_setting('application_name'), current_setting('search_path'), current_setting('geqo'),"
            " current_setting('default_transaction_read_only')"
        )
        assert rows == [("doors", '"elsewhere"', "off", "on")]
        async with database._connections.lend() as connection:
            sock = connection._con._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 31
    async with opened(f"{postgres_url}?keepalives=0") as database, database._connections.lend() as connection:
        sock = connection._con._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


async def test_a_socket_that_refuses_an_option_leaves_no_connection(postgres_url, monkeypatch):
    """The largest values are used as they are. The kernel refuses others, and then nothing stays open at the server."""
    query = "keepalives_idle=32767&keepalives_interval=32767&keepalives_count=127&tcp_user_timeout=600000"
    async with opened(f"{postgres_url}?{query}") as database:
        monkeypatch.setitem(url_module._SOCKET_OPTIONS, "keepalives_count", ("TCP_KEEPCNT", 200))
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await database_from_url(f"{postgres_url}?keepalives_count=200&application_name=refused").open()
        async with asyncio.timeout(10):
            while await database.all("select pid from pg_stat_activity where application_name = 'refused'"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("sslmode=require", "TLS"),
        ("sslmode=verify-full&sslrootcert=system", "TLS"),
        ("options=-c%20no_such_setting%3D1", "no_such_setting"),
        ("options=-c%20work_mem%3Dmuch", "work_mem"),
    ],
)
async def test_what_the_server_will_never_accept_is_a_configuration_error(postgres_url, query, says):
    with pytest.raises(ConfigurationError, match=says) as refused:
        await database_from_url(f"{postgres_url}?{query}").open()
    assert "\n" not in str(refused.value)


async def test_a_certificate_authority_that_is_not_given_is_a_configuration_error(postgres_url, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="sslrootcert"):
        await database_from_url(f"{postgres_url}?sslmode=verify-full").open()


@pytest.mark.parametrize(("query", "hints"), [("", 1), ("?pooler=true", 0), ("?pgbouncer=true", 0)])
def test_a_proxy_that_refuses_a_setting_leads_to_pooler_only_where_it_is_not_set(query, hints):
    refused = Connections(parse(f"{BASE}{query}"))._unusable(asyncpg.ProtocolViolationError("no such parameter"))
    assert isinstance(refused, ConfigurationError)
    assert str(refused).count("pooler=true") == hints


async def test_a_server_that_does_not_answer_is_unavailable():
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1,127\.0\.0\.1:2/nothing"):
        await database_from_url(f"postgresql://somebody:{SECRET}@127.0.0.1:1,127.0.0.1:2/nothing").open()


async def test_without_a_host_the_server_is_where_libpq_looks(postgres_url, monkeypatch):
    parts = urllib.parse.urlsplit(postgres_url)
    monkeypatch.setenv("PGHOST", parts.hostname)
    async with opened(
        f"postgresql://{parts.username}:{parts.password}@/{parts.path[1:]}?port={parts.port}"
    ) as database:
        assert await database.one("select 1") == (1,)
