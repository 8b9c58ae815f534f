"""The test servers are real, protected by a password, durable as documented, and removed after the run."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis

from tests import servers
from tests.servers import PostgresServer, ValkeyServer

ROOT = Path(__file__).parents[1]

STARTS_BOTH_SERVERS = """
import time
from tests.servers import PostgresServer, ValkeyServer
postgres, valkey = PostgresServer(), ValkeyServer()
print(postgres.port, valkey.port, postgres._folder, valkey._folder, flush=True)
time.sleep(60)
"""


async def test_a_new_postgres_database_is_empty_and_syncs_its_commits(postgres_url):
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("select count(*) from pg_tables where schemaname = 'public'") == 0
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await connection.fetchval(f"show {setting}") == "on"
    finally:
        await connection.close()


async def test_a_commit_survives_a_crash_of_postgres(postgres_server, postgres_url):
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("create table kept (x int)")
    await connection.execute("insert into kept values (7)")
    postgres_server.stop()
    connection.terminate()
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(postgres_url)
    postgres_server.start()
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("select x from kept") == 7
    await connection.close()


async def test_both_servers_reject_a_wrong_password(postgres_url, valkey_url):
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(_with_password("guessed", postgres_url))
    guess = _with_password("guessed", _redis(valkey_url))
    with pytest.raises(redis.AuthenticationError), redis.Redis.from_url(guess) as client:
        client.ping()


def test_valkey_evicts_nothing_and_is_empty_after_a_stop_or_a_flush(valkey_server, valkey_url):
    with redis.Redis.from_url(_redis(valkey_url)) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        client.set("lost", "by the stop")
    valkey_server.stop()
    valkey_server.start()
    with redis.Redis.from_url(_redis(valkey_url)) as client:
        assert client.dbsize() == 0
        client.set("lost", "by the flush")
        valkey_server.flush()
        assert client.dbsize() == 0


@pytest.mark.parametrize("server_class", [PostgresServer, ValkeyServer])
def test_a_server_tries_another_port_if_its_port_is_taken(monkeypatch, server_class):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        ports = itertools.chain([taken], iter(servers._free_port, 0))
        monkeypatch.setattr(servers, "_free_port", lambda: next(ports))
        server = server_class()
        try:
            assert server.port != taken
            assert _answers(server.port)
        finally:
            server.close()


def test_servers_and_their_folders_are_removed_if_the_test_run_is_killed():
    run = subprocess.Popen([sys.executable, "-c", STARTS_BOTH_SERVERS], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with run:
        postgres_port, valkey_port, *folders = run.stdout.readline().split()
        ports = [int(postgres_port), int(valkey_port)]
        assert all(_answers(port) for port in ports)
        if os.geteuid() == 0:
            assert all(Path(folder).stat().st_uid != 0 for folder in folders)
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(Path(folder).exists() for folder in folders) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(folder).exists() for folder in folders)
    assert not any(_answers(port) for port in ports)


def _redis(valkey_url):
    return valkey_url.replace("valkey://", "redis://", 1)


def _with_password(password, url):
    return url.replace(f":{urlsplit(url).password}@", f":{password}@")


def _answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
