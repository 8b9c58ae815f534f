"""TLS to PostgreSQL with the certificates that the operating system trusts: every other TLS parameter still counts."""

import asyncio
import contextlib
import ssl

import pytest

from ostiary.errors import ConfigurationError, StoreUnavailable
from ostiary.store.open import database_from_url
from tests.verifier.issuers import Authority

SYSTEM = "sslmode=verify-full&sslrootcert=system"


class Handshakes:
    """A server that answers the first message of PostgreSQL's protocol, agrees on TLS, and hangs up."""

    def __init__(self, context, *, newest=ssl.TLSVersion.TLSv1_3):
        self._context = context
        self._context.maximum_version = newest
        self._context.set_alpn_protocols(["postgresql"])
        self.seen = []

    @contextlib.asynccontextmanager
    async def listening(self, *, direct):
        server = await asyncio.start_server(
            self._finish if direct else self._begin, "127.0.0.1", 0, ssl=self._context if direct else None
        )
        async with server:
            yield f"postgresql://somebody@127.0.0.1:{server.sockets[0].getsockname()[1]}/auth"

    async def _begin(self, reader, writer):
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"S")
        with contextlib.suppress(OSError):
            await writer.start_tls(self._context)
            await self._finish(reader, writer)

    async def _finish(self, _reader, writer):
        agreed = writer.get_extra_info("ssl_object")
        self.seen.append((agreed.version(), agreed.selected_alpn_protocol()))
        writer.close()


@pytest.fixture
def context(tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    return authority.server_context("127.0.0.1")


@pytest.mark.parametrize(
    ("query", "direct", "seen"),
    [
        ("", False, ("TLSv1.3", "postgresql")),
        ("&sslnegotiation=direct", True, ("TLSv1.3", "postgresql")),
        ("&ssl_max_protocol_version=TLSv1.2", False, ("TLSv1.2", "postgresql")),
    ],
)
async def test_the_handshake_is_as_the_url_says(context, query, direct, seen):
    server = Handshakes(context)
    async with server.listening(direct=direct) as url:
        with pytest.raises(StoreUnavailable):  # it hangs up
            await database_from_url(f"{url}?{SYSTEM}{query}").open()
    assert server.seen[0] == seen


@pytest.mark.parametrize("where", ["url", "environment"])
async def test_a_server_with_an_older_version_than_the_oldest_allowed_is_refused(context, monkeypatch, where):
    server = Handshakes(context, newest=ssl.TLSVersion.TLSv1_2)
    if where == "environment":
        monkeypatch.setenv("PGSSLMINPROTOCOLVERSION", "TLSv1.3")
    query = "&ssl_min_protocol_version=TLSv1.3" if where == "url" else ""
    async with server.listening(direct=False) as url:
        with pytest.raises((ConfigurationError, StoreUnavailable)):
            await database_from_url(f"{url}?{SYSTEM}{query}").open()
    assert server.seen == []
