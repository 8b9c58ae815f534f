"""A request names exactly one host."""

import pytest

from tests.web.toy import World


async def ask(hosts, version="1.1", path="/healthz"):
    sent = []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": version,
        "method": "GET",
        "path": path,
        "headers": [(b"host", host) for host in hosts],
    }
    await World().app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("path", ["/healthz", "/auth/me", "/nowhere"])
@pytest.mark.parametrize("hosts", [[], [b""], [b"a", b"b"], [b"a", b"a"], [b"", b"a"]])
async def test_r01_two_hosts_or_none_are_refused(hosts, path):
    """A proxy may have applied the rules of the other host."""
    status, body = await ask(hosts, path=path)
    assert (status, b'"invalid_request"' in body) == (400, True)


@pytest.mark.parametrize("version", ["1", "1.0", "2", "3"])
async def test_other_versions_of_http_need_no_host_but_have_at_most_one(version):
    """HTTP/1.0 has none: load balancers still check health with it."""
    assert (await ask([], version))[0] == 200
    assert (await ask([b"a"], version))[0] == 200
    assert (await ask([b"a", b"b"], version))[0] == 400
