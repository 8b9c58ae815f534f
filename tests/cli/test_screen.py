"""The output of `serve` at its start: the address, a warning if it is dangerous, and no secret."""

import json

import pytest

from ostiary.cli.address import Address
from ostiary.cli.preflight import Readiness
from ostiary.cli.screen import exposure, facts, program, screen
from ostiary.settings import MailSettings, RegistrationSettings, WebSettings
from tests.core.given import given

HIDDEN = "unmistakable"

PRODUCTION = {
    "secret": "s",
    "issuer": "https://auth.example.com",
    "production": True,
}
MAIL = MailSettings(smtp="smtps://mail")
ONE_SOURCE = "Warning: web.trusted_proxies is empty: behind a proxy, all callers share the same rate limits"


def ready(*sections, host="127.0.0.1", **top):
    return Readiness(
        settings=given(*sections, **top),
        address=Address.parse(host, 8000),
        algorithm="ES256",
        database=None,
        secret=None,
    )


@pytest.mark.parametrize("production", [False, True])
def test_no_secret_is_shown(production):
    started = ready(
        MailSettings(smtp=f"smtps://user:{HIDDEN}@mail.example.com"),
        database=f"postgresql://user:{HIDDEN}@db/auth?password={HIDDEN}",
        secret=HIDDEN,
        issuer="https://auth.example.com",
        production=production,
    )
    for shown in ("\n".join(screen(started)), json.dumps(facts(started), ensure_ascii=False)):
        assert HIDDEN not in shown
        assert "postgresql://user:…@db/auth" in shown
        assert "mail.example.com" in shown


def test_production_prints_no_commands_to_try():
    assert not any("curl" in line for line in screen(ready(MAIL, **PRODUCTION)))
    assert any("curl" in line for line in screen(ready(MAIL, **PRODUCTION | {"production": False})))


def test_the_screen_shows_a_program_name_that_can_be_typed(tmp_path, monkeypatch):
    own = tmp_path / "a folder" / "ostiary"
    own.parent.mkdir()
    own.touch(mode=0o755)
    monkeypatch.setattr("sys.argv", [str(own)])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == f"'{own}'"
    assert any(f"Settings: '{own}' doctor" in line for line in screen(ready()))
    monkeypatch.setenv("PATH", str(own.parent))
    assert program() == "ostiary"


def test_the_commands_to_try_work_with_an_old_curl():
    assert not any("--json" in line for line in screen(ready()))


@pytest.mark.parametrize(
    ("top", "proxies", "warned"),
    [(PRODUCTION, (), True), (PRODUCTION, ("10.0.0.0/8",), False), ({}, (), False)],
)
def test_production_without_trusted_proxies_gets_a_warning(top, proxies, warned):
    """One caller could use up the rate limits of all."""
    started = ready(MAIL, WebSettings(trusted_proxies=proxies), **top)
    assert (list(screen(started))[-1] == ONE_SOURCE) is warned
    assert (facts(started)["warnings"] == [ONE_SOURCE]) is warned


@pytest.mark.parametrize(
    ("host", "issuer", "dangerous"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000", False),
        ("::1", "http://[::1]:8000", False),
        ("0.0.0.0", "http://127.0.0.1:8000", True),
        ("192.0.2.1", "http://127.0.0.1:8000", True),
        ("0.0.0.0", "https://auth.example.com", False),
    ],
)
def test_listening_without_tls_beyond_this_machine_gets_a_warning(host, issuer, dangerous):
    started = ready(host=host, issuer=issuer)
    assert (exposure(started) is not None) is dangerous
    assert list(screen(started))[-1].startswith("Warning: ") is dangerous


def test_production_without_verified_addresses_gets_a_warning():
    unverified = RegistrationSettings(require_verified_email=False)
    started = ready(MAIL, unverified, **PRODUCTION)
    assert [told.split()[1] for told in facts(started)["warnings"]] == [
        "web.trusted_proxies",
        "registration.require_verified_email",
    ]
    assert len(list(screen(started))) <= 24
    assert facts(ready(unverified))["warnings"] == []
