"""Settings: where a value comes from, what is refused in which words, and that secrets are not shown."""

import copy
import dataclasses
import logging
import pickle
import re

import pytest

from ostiary.app import Ostiary
from ostiary.core.settings import Secret, Settings, load, parse_rate
from ostiary.errors import ConfigurationError
from ostiary.store.hot import Rate

ISSUER = "https://auth.example.com"
SECRET = "x2Yb7uXG0vq0O1Y5c7bZzq0J6m5wq1n8m3r9t4k2p6s"
SAFE = {"issuer": ISSUER, "secret": SECRET, "smtp": "smtp://mail.example.com"}


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "ostiary.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def source_of(origins, name):
    return next(origin.source for origin in origins if origin.name == name)


def refused(*args, **kwargs):
    with pytest.raises(ConfigurationError) as problem:
        load(*args, **{"environ": {}, **kwargs})
    assert "\n" not in str(problem.value), "one line for the operator"
    return str(problem.value)


def test_an_argument_comes_before_environment_before_file_before_default(toml):
    path = toml("access_lifetime = 61\nsession_lifetime = 61\nattempt_lifetime = 61\n")
    environ = {"OSTIARY_ACCESS_LIFETIME": "62", "OSTIARY_SESSION_LIFETIME": "62"}
    settings, origins = load({"access_lifetime": 63}, environ=environ, toml=path)
    found = (
        settings.access_lifetime,
        settings.session_lifetime,
        settings.attempt_lifetime,
        settings.verification_lifetime,
    )
    assert found == (63, 62, 61, 24 * 3600)
    assert source_of(origins, "access_lifetime") == "argument"
    assert source_of(origins, "session_lifetime") == "OSTIARY_SESSION_LIFETIME"
    assert source_of(origins, "attempt_lifetime") == str(path)
    assert source_of(origins, "verification_lifetime") == "default"


def test_every_setting_can_come_from_the_environment_and_says_what_it_is():
    for field in dataclasses.fields(Settings):
        assert len(field.metadata["doc"]) > 10
    given = {
        "OSTIARY_LIMIT_LOGIN": "7/hour",
        "OSTIARY_TRUSTED_PROXIES": "10.0.0.0/8 ::1/128",
        "OSTIARY_PRODUCTION": "no",
    }
    settings, origins = load(environ={**given, "OSTIARY_SMTP": "smtps://mail.example.com"})
    assert settings.limit_login == Rate(7, 3600)
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert settings.production is False
    assert settings.smtp is not None
    assert {origin.name for origin in origins} == {field.name for field in dataclasses.fields(Settings)}


def test_a_limit_of_a_slice_to_come_is_bounded_as_well():
    @dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
    class More(Settings):
        limit_more: Rate

    with pytest.raises(ConfigurationError, match="limit_more must be like 5/minute"):
        More(limit_more=Rate(2_000_000, 60))


def test_an_argument_of_none_and_an_empty_variable_are_not_given():
    settings, origins = load({"database": None}, environ={"OSTIARY_DATABASE": "", "OSTIARY_SECRET": ""})
    assert settings.database == "sqlite:///ostiary.db"
    assert settings.secret is None
    assert source_of(origins, "database") == "default"


def test_without_an_environment_none_is_read(monkeypatch):
    """Importing and constructing read nothing that was not handed over."""
    monkeypatch.setenv("OSTIARY_ACCESS_LIFETIME", "99")
    assert load()[0].access_lifetime == 900
    assert Ostiary().settings.access_lifetime == 99  # the one place that hands it over


def test_a_file_has_lists_numbers_and_texts_of_its_own(toml):
    path = toml('trusted_origins = ["https://a.example.com", "https://b.example.com"]\nlimit_register = "3/30s"\n')
    settings, _ = load(environ={}, toml=path)
    assert settings.trusted_origins == ("https://a.example.com", "https://b.example.com")
    assert settings.limit_register == Rate(3, 30)


def test_verified_addresses_are_asked_for_in_production_and_not_while_developing():
    assert load(SAFE | {"production": True}, environ={})[0].require_verified_email is True
    assert load(SAFE, environ={})[0].require_verified_email is False
    assert load(SAFE | {"production": True, "require_verified_email": False}, environ={})[0].smtp is not None


# what is given, and what the one line must say
PROBLEMS = [
    ({"issuer": "auth.example.com"}, "issuer must be an http(s) URL"),
    ({"issuer": ""}, "issuer must be an http(s) URL"),
    ({"issuer": "ftp://auth.example.com"}, "issuer must be an http(s) URL"),
    ({"issuer": "https://"}, "issuer must be an http(s) URL"),
    ({"issuer": "https://user@auth.example.com"}, "issuer must be an http(s) URL"),
    ({"issuer": "https://:password@auth.example.com"}, "issuer must be an http(s) URL"),
    ({"issuer": "https://auth.example.com?x"}, "issuer must be an http(s) URL"),
    ({"issuer": "https://auth.example.com#x"}, "issuer must be an http(s) URL"),
    ({"issuer": "https://auth.example.com\n"}, "issuer must be an http(s) URL"),
    ({"issuer": "https://auth.example.com:99999"}, "issuer must be an http(s) URL"),
    ({"issuer": "https://[::1"}, "issuer must be an http(s) URL"),
    ({"issuer": "https://auth.example.com\\@evil.example"}, "issuer must be an http(s) URL"),
    ({"issuer": "https://auth.example.com/"}, "must not end with a slash"),
    ({"issuer": "http://auth.example.com"}, "must be https, except on the loopback"),
    ({"prefix": "auth"}, "prefix must be a path such as /auth"),
    ({"prefix": "/"}, "prefix must be a path such as /auth"),
    ({"prefix": "/auth/"}, "prefix must be a path such as /auth"),
    ({"prefix": "/a b"}, "prefix must be a path such as /auth"),
    ({"prefix": "/{auth}"}, "prefix must be a path such as /auth"),
    ({"access_lifetime": 9}, "access_lifetime must be between 10 and 86400, not 9"),
    ({"access_lifetime": 86401}, "access_lifetime must be between"),
    ({"session_lifetime": 59}, "session_lifetime must be between"),
    ({"attempt_lifetime": 29}, "attempt_lifetime must be between"),
    ({"verification_lifetime": 24 * 3600 + 1}, "verification_lifetime must be between"),
    ({"body_limit": 10}, "body_limit must be between"),
    ({"argon2_memory": 19 * 1024 - 1}, "argon2_memory must be between"),
    ({"argon2_time": 1}, "argon2_time must be between"),
    ({"hashing_threads": -1}, "hashing_threads must be between"),
    ({"hashing_queue": 0}, "hashing_queue must be between"),
    ({"feed_staleness": 0}, "feed_staleness must be between"),
    ({"feed_staleness": 61}, "feed_staleness must be between"),
    ({"access_lifetime": "1_000"}, "argument: access_lifetime must be a whole number"),
    ({"access_lifetime": "٦٠"}, "argument: access_lifetime must be a whole number"),
    ({"access_lifetime": " 60"}, "argument: access_lifetime must be a whole number"),
    ({"access_lifetime": "-60"}, "argument: access_lifetime must be a whole number"),
    ({"access_lifetime": 60.0}, "argument: access_lifetime must be a whole number"),
    ({"access_lifetime": True}, "argument: access_lifetime must be a whole number"),
    ({"production": "maybe"}, "argument: production must be true or false"),
    ({"production": 1}, "argument: production must be true or false"),
    ({"limit_login": "5"}, "argument: limit_login must be like 5/minute"),
    ({"limit_login": "5/fortnight"}, "argument: limit_login must be like 5/minute"),
    ({"limit_login": 5}, "argument: limit_login must be like 5/minute"),
    ({"limit_login": "0/minute"}, "limit_login must be"),
    ({"limit_login": "5/0s"}, "limit_login must be"),
    ({"limit_login": "9999999/minute"}, "limit_login must be like 5/minute"),
    ({"limit_register": "5/99999s"}, "limit_register must be like 5/minute"),
    ({"trusted_proxies": "10.0.0.1/8"}, "trusted_proxies must be networks such as 10.0.0.0/8"),
    ({"trusted_proxies": ("proxy.example.com",)}, "trusted_proxies must be networks"),
    ({"trusted_proxies": (1,)}, "trusted_proxies must be text, not int"),
    ({"trusted_origins": ("app.example.com",)}, "trusted_origins must be like https://app.example.com"),
    ({"trusted_origins": ("https://app.example.com/",)}, "trusted_origins must be like"),
    ({"trusted_origins": ("https://user@app.example.com",)}, "trusted_origins must be like"),
    ({"trusted_origins": ("*",)}, "trusted_origins must be like"),
    ({"trusted_origins": ("null",)}, "trusted_origins must be like"),
    ({"database": 5}, "argument: database must be text, not int"),
    ({"nonsense": 5}, "argument: there is no setting called 'nonsense'"),
    ({"production": True}, "production needs OSTIARY_ISSUER"),
    ({"production": True, "issuer": "http://localhost:8000", "secret": SECRET}, "production needs an https issuer"),
    ({"production": True, "issuer": ISSUER}, "production needs OSTIARY_SECRET"),
    ({"production": True, "issuer": ISSUER, "secret": SECRET}, "production needs OSTIARY_SMTP"),
]


@pytest.mark.parametrize(("given", "said"), PROBLEMS, ids=[str(given) for given, _ in PROBLEMS])
def test_what_makes_no_safe_installation_is_refused_in_one_line(given, said):
    assert said in refused(given)


def test_the_line_names_the_variable_or_file_that_is_wrong(toml):
    assert refused(environ={"OSTIARY_PRODUCTION": "ja"}).startswith("OSTIARY_PRODUCTION: production must be")
    path = toml("body_limit = '64K'")
    assert refused(toml=path) == f"{path}: body_limit must be a whole number"
    path = toml("bodylimit = 5")
    assert refused(toml=path) == f"{path}: there is no setting called 'bodylimit'"
    path = toml("= nothing")
    assert str(path) in refused(toml=path)
    missing = path.with_name("missing.toml")
    assert str(missing) in refused(toml=missing)
    path.write_bytes(b"\xff\xfe")
    assert str(path) in refused(toml=path)


def test_the_constructor_refuses_what_settings_refuse_and_mail_it_cannot_send():
    with pytest.raises(ConfigurationError, match="issuer"):
        Ostiary(issuer="nonsense", environ={})
    for smtp in ("http://mail.example.com", "smtp://", "smtp://host:99999", "smtp://[::1", "mail.example.com"):
        with pytest.raises(ConfigurationError, match="smtp must be like"):
            Ostiary(smtp=smtp, environ={})
    for sender in ("nobody", "", "a@b@c", "=?utf-8?q?x?=@example.com"):
        with pytest.raises(ConfigurationError, match="mail_from must be like"):
            Ostiary(smtp="smtp://mail.example.com", mail_from=sender, environ={})


def test_rates_are_read_in_both_spellings():
    assert parse_rate("5/minute") == Rate(5, 60)
    assert parse_rate("100/day") == Rate(100, 86400)
    assert parse_rate("3/30s") == Rate(3, 30)


HIDDEN = "hunter2-hunter2-hunter2-hunter2-hunter2-hunter2"


def test_what_must_not_be_printed_is_in_no_text_that_python_makes_of_it():
    """N3: logs, tracebacks and f-strings."""
    secret = Secret(HIDDEN)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>80}", "%s" % secret, f"{secret!r}", f"{[secret]}"]  # noqa: UP031
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s and %r", (secret, secret), None)
    assert all("hunter2" not in text for text in [*shown, record.getMessage()])
    assert secret.reveal() == HIDDEN
    assert copy.deepcopy(secret).reveal() == HIDDEN


def test_settings_hide_the_secret_the_mail_password_and_the_passwords_of_databases():
    settings = load(
        {
            "secret": HIDDEN,
            "smtp": "smtp://me:hunter2@mail.example.com",
            "database": "postgresql://me:hunter2@db.example.com/auth",
            "hot": "valkey://:hunter2@hot.example.com",
        },
        environ={},
    )[0]
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(dataclasses.replace(settings, body_limit=2048))
    assert "hunter2" not in repr(Ostiary("postgresql://me:hunter2@db/x", environ={}))


@pytest.mark.parametrize(
    "given",
    [
        {"secret": b"hunter2"},
        {"smtp": "ftp://me:hunter2@mail.example.com"},
        {"smtp": "smtp://me:hunter2@mail.example.com:hunter2"},
        {"database": "mysql://me:hunter2@db"},
        {"database": "sqlite://hunter2.db"},
        {"secret": "hunter2"},
    ],
    ids=str,
)
async def test_no_error_quotes_a_secret(given, tmp_path):
    path = f"sqlite:///{tmp_path / 'x.db'}"
    with pytest.raises(ConfigurationError) as problem:
        await Ostiary(**({"database": path} | given), environ={}).open()
    assert "hunter2" not in str(problem.value)


def test_settings_cannot_be_changed_and_are_checked_however_they_are_made():
    settings = load(environ={})[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.production = True
    with pytest.raises(ConfigurationError):
        dataclasses.replace(settings, access_lifetime=0)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_an_origin_is_written_as_browsers_write_it():
    def origin(issuer):
        return load({"issuer": issuer}, environ={})[0].issuer_origin

    assert origin("https://Auth.Example.com/realm") == "https://auth.example.com"
    assert origin("https://auth.example.com:443") == "https://auth.example.com"
    assert origin("http://127.0.0.1:8000") == "http://127.0.0.1:8000"
    assert not re.search("/$", origin("https://auth.example.com"))


def test_a_misspelt_variable_is_refused_and_the_right_one_named():
    """Else OSTIARY_PRODUCTON=1 would start a development server, and say nothing."""
    with pytest.raises(
        ConfigurationError, match=r"OSTIARY_PRODUCTON: there is no such setting; did you mean OSTIARY_PROD"
    ):
        load(environ={"OSTIARY_PRODUCTON": "1"})
    with pytest.raises(ConfigurationError, match=r"OSTIARY_QQQQQQQQQQQQ: there is no such setting$"):
        load(environ={"OSTIARY_QQQQQQQQQQQQ": "1"})
    assert load(environ={"PATH": "/bin", "OSTIARYX": "1"})[0].production is False


@pytest.mark.parametrize("resource", [
    "http://orders.example.com", "https://orders.example.com/#a", "https://orders.example.com/?a=b", "orders",
    "https://user@orders.example.com", "https://auth.example.com", "https://auth.example.com/", "https://AUTH.example.com:443",
    "https://orders.example.com/" + "x" * 256, "",
])  # fmt: skip
def test_what_cannot_be_a_resource_is_refused_at_start(resource):
    """As for service clients: http elsewhere than on this machine, and the issuer in whatever spelling."""
    with pytest.raises(ConfigurationError, match="resources: "):
        Settings(issuer="https://auth.example.com", resources=("https://orders.example.com", resource))
