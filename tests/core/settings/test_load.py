"""Merging and checking: which source takes precedence, what is refused, and the error messages."""

import dataclasses
from typing import ClassVar

import pytest

from ostiary.app import Ostiary
from ostiary.app.slices import enabled, read_settings, stated
from ostiary.core.settings import Section, Settings, load, parse_rate, setting, shown
from ostiary.errors import ConfigurationError
from ostiary.settings import (
    HashingSettings,
    MailSettings,
    RegistrationSettings,
    RevocationSettings,
    SessionSettings,
    SignInSettings,
    TokenSettings,
    WebSettings,
)
from ostiary.store.hot import Rate
from ostiary.testing.world import Outbox
from tests.core.given import given
from tests.core.settings.toys import ISSUER, SECRET, STATED, DoorSettings, LampSettings, lamp, refused

SAFE = {"issuer": ISSUER, "secret": SECRET}
SMTP = MailSettings(smtp="smtp://mail.example.com")


# --- which source counts ----------------------------------------------------------------------------------------------


def test_an_argument_comes_before_environment_before_a_file_before_toml_before_the_default(tmp_path):
    toml, file = tmp_path / "lamp.toml", tmp_path / "name"
    toml.write_text('[lamp]\npower = 1\ncolour = "red"\nname = "toml"\non = false\n')
    file.write_text("file")
    environ = {"OSTIARY_LAMP_POWER": "2", "OSTIARY_LAMP_COLOUR": "green", "OSTIARY_LAMP_NAME_FILE": str(file)}
    loaded = load(STATED, [LampSettings(power=3)], environ=environ, config=toml)
    found = loaded.settings.of(LampSettings)
    assert (found.power, found.colour, found.name, found.on, found.rooms) == (3, "green", "file", False, ())
    sources = {finding.name: finding.source for finding in loaded.findings if finding.name.startswith("lamp")}
    assert sources == {
        "lamp.power": "argument",
        "lamp.colour": "OSTIARY_LAMP_COLOUR",
        "lamp.name": "OSTIARY_LAMP_NAME_FILE",
        "lamp.on": str(toml),
        "lamp.is_loud": "default",
        "lamp.rooms": "default",
        "lamp.limit": "default",
        "lamp.key": "default",
    }
    assert loaded.source_of("lamp.power") == "argument"


def test_a_section_object_overrides_only_the_fields_that_were_passed():
    environ = {"OSTIARY_LAMP_POWER": "7", "OSTIARY_LAMP_COLOUR": "red"}
    found = lamp(LampSettings(colour="green"), environ=environ)
    assert (found.power, found.colour) == (7, "green")
    assert lamp(LampSettings(power=40), environ=environ).power == 40, "also where it is the default that was passed"
    assert lamp(LampSettings(), environ=environ).power == 7


def test_a_section_object_of_no_enabled_slice_or_given_twice_is_refused():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class OtherLampSettings(LampSettings):
        pass

    for sections, said in {
        (DoorSettings(),): "DoorSettings: no enabled slice has these settings",
        (OtherLampSettings(power=3),): "OtherLampSettings: no enabled slice has these settings",
        (LampSettings(power=3), LampSettings(on=False)): "LampSettings is given twice",
    }.items():
        with pytest.raises(ConfigurationError) as problem:
            load([LampSettings], sections)
        assert str(problem.value) == said
    assert refused(LampSettings()) == "LampSettings: no enabled slice has these settings"


def test_an_argument_of_none_and_an_empty_variable_are_not_given():
    environ = {"OSTIARY_DATABASE": "", "OSTIARY_SECRET": "", "OSTIARY_SECRET_FILE": ""}
    loaded = read_settings({"database": None}, config=None, environ=environ)
    assert loaded.settings.database == "sqlite:///ostiary.db"
    assert loaded.settings.secret is None
    assert loaded.source_of("database") == "default"


def test_only_ostiary_itself_reads_the_environment_unless_one_is_passed(monkeypatch):
    monkeypatch.setenv("OSTIARY_LAMP_POWER", "99")
    monkeypatch.setenv("OSTIARY_SESSIONS_LIMIT", "99")
    assert lamp().power == 40
    monkeypatch.delenv("OSTIARY_LAMP_POWER")
    assert Ostiary(config=None).settings.of(SessionSettings).limit == 99
    assert Ostiary(config=None, environ={}).settings.of(SessionSettings).limit == 5


def test_a_setting_has_the_same_name_everywhere(tmp_path):
    toml = tmp_path / "ostiary.toml"
    toml.write_text("[sessions]\nlimit = 7\n")
    environ = {"OSTIARY_SESSIONS_LIMIT": "7"}
    for loaded in (
        read_settings({}, config=toml, environ={}),
        read_settings({}, config=None, environ=environ),
        read_settings({}, [SessionSettings(limit=7)], config=None, environ={}),
    ):
        (finding,) = [each for each in loaded.findings if each.name == "sessions.limit"]
        assert (finding.value, loaded.settings.of(SessionSettings).limit) == (7, 7)


def test_a_default_may_follow_a_top_level_setting():
    assert given(SMTP, **SAFE, production=True).of(RegistrationSettings).require_verified_email is True
    assert given(SMTP, **SAFE).of(RegistrationSettings).require_verified_email is False
    without = given(SMTP, RegistrationSettings(require_verified_email=False), **SAFE, production=True)
    assert without.of(RegistrationSettings).require_verified_email is False
    assert lamp(environ={"OSTIARY_PRODUCTION": "yes"}, **SAFE).is_loud is True


def test_production_needs_no_mail_server_if_the_application_sends_the_mails():
    top = {**SAFE, "production": True}
    assert read_settings(top, config=None, environ={}, own_transport=True).settings.of(MailSettings).smtp is None
    auth = Ostiary("sqlite:///x.db", mail=Outbox(), config=None, environ={}, **top)
    assert auth.settings.production


def test_every_type_is_read_from_text_and_from_python_values():
    texts = {"POWER": "3", "ON": "off", "ROOMS": " hall  cellar ", "LIMIT": "7/hour", "KEY": "k"}
    from_text = lamp(environ={f"OSTIARY_LAMP_{name}": text for name, text in texts.items()})
    as_it_is = lamp(LampSettings(power=3, on=False, rooms=["hall", "cellar"], limit=Rate(7, 3600), key="k"))
    assert from_text == as_it_is
    assert (from_text.on, from_text.rooms, from_text.limit) == (False, ("hall", "cellar"), Rate(7, 3600))


@pytest.mark.parametrize(("text", "rate"), {"5/minute": (5, 60), "100/day": (100, 86400), "3/30s": (3, 30)}.items())
def test_rates_are_read_in_both_spellings_and_written_as_they_are_read(text, rate):
    assert parse_rate(text) == Rate(*rate)
    assert shown(Rate(*rate)) == text


def test_every_setting_is_documented_and_can_come_from_the_environment():
    loaded = read_settings({}, config=None, environ={})
    known = [each for section in (Settings, *stated(enabled())) for each in section.settings()]
    assert [finding.name for finding in loaded.findings] == [each.name for each in known]
    for each in known:
        assert each.facts.doc.endswith("."), each.name
        text = shown(each.default)
        again = read_settings({}, config=None, environ={each.variable: text})
        assert again.source_of(each.name) == (each.variable if text else "default")
        assert again.settings == loaded.settings, f"{each.name}: the default, as it is shown, means the default"


# --- what is refused --------------------------------------------------------------------------------------------------

# the input, and what the line must contain
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
    ({"issuer": "https://auth.example.com/"}, "issuer must not end with a slash"),
    ({"issuer": "http://auth.example.com"}, "issuer must be https, except on the loopback"),
    ({"prefix": "auth"}, "prefix must be a path such as /auth"),
    ({"prefix": "/"}, "prefix must be a path such as /auth"),
    ({"prefix": "/auth/"}, "prefix must be a path such as /auth"),
    ({"prefix": "/a b"}, "prefix must be a path such as /auth"),
    ({"prefix": "/{auth}"}, "prefix must be a path such as /auth"),
    ({"database": 5}, "database must be text, not int"),
    ({"production": "maybe"}, "production must be true or false"),
    ({"production": 1}, "production must be true or false"),
    ({"nonsense": 5}, "there is no setting 'nonsense'"),
    ({"production": True}, "issuer must be set in production"),
    ({"production": True, "issuer": "http://localhost:8000", "secret": SECRET}, "issuer must be https in production"),
    ({"production": True, "issuer": ISSUER}, "secret must be set in production. This prints a new one: python3"),
    ({"production": True, "issuer": ISSUER, "secret": SECRET}, "mail.smtp must be set in production (OSTIARY_MAIL_SM"),
    (TokenSettings(access_lifetime=9), "tokens.access_lifetime must be between 10 and 86400, not 9"),
    (TokenSettings(access_lifetime=86401), "tokens.access_lifetime must be between"),
    (TokenSettings(access_lifetime="1_000"), "tokens.access_lifetime must be a whole number"),
    (TokenSettings(access_lifetime="٦٠"), "tokens.access_lifetime must be a whole number"),
    (TokenSettings(access_lifetime=" 60"), "tokens.access_lifetime must be a whole number"),
    (TokenSettings(access_lifetime="-60"), "tokens.access_lifetime must be a whole number"),
    (TokenSettings(access_lifetime=60.0), "tokens.access_lifetime must be a whole number"),
    (TokenSettings(access_lifetime=True), "tokens.access_lifetime must be a whole number"),
    (SessionSettings(lifetime=59), "sessions.lifetime must be between"),
    (SessionSettings(limit_policy="oldest"), "sessions.limit_policy must be end-oldest or refuse, not 'oldest'"),
    (SignInSettings(attempt_lifetime=29), "sign_in.attempt_lifetime must be between"),
    (RegistrationSettings(verification_lifetime=24 * 3600 + 1), "registration.verification_lifetime must be between"),
    (WebSettings(body_limit=10), "web.body_limit must be between"),
    (HashingSettings(memory=19 * 1024 - 1), "hashing.memory must be between"),
    (HashingSettings(time=1), "hashing.time must be between"),
    (HashingSettings(threads=-1), "hashing.threads must be between"),
    (HashingSettings(queue=0), "hashing.queue must be between"),
    (RevocationSettings(staleness=0), "revocations.staleness must be between"),
    (RevocationSettings(staleness=61), "revocations.staleness must be between"),
    (SignInSettings(limit="5"), "sign_in.limit must be like 5/minute"),
    (SignInSettings(limit="5/fortnight"), "sign_in.limit must be like 5/minute"),
    (SignInSettings(limit=5), "sign_in.limit must be like 5/minute"),
    (SignInSettings(limit="0/minute"), "sign_in.limit must be like 5/minute"),
    (SignInSettings(limit="5/0s"), "sign_in.limit must be like 5/minute"),
    (SignInSettings(limit="9999999/minute"), "sign_in.limit must be like 5/minute, with at most 1000000 in at most"),
    (SignInSettings(limit="5/99999s"), "sign_in.limit must be like 5/minute, with at most 1000000 in at most 86400 s"),
    (SignInSettings(limit=Rate(2_000_000, 60)), "sign_in.limit must be like 5/minute, with at most 1000000"),
    (WebSettings(trusted_proxies="10.0.0.1/8"), "web.trusted_proxies must be networks such as 10.0.0.0/8"),
    (
        WebSettings(trusted_proxies="10.0.0.5/8"),
        "web.trusted_proxies must be networks such as 10.0.0.0/8, not '10.0.0.5/8': it has host bits set",
    ),
    (
        WebSettings(trusted_proxies="10.0.0.1,10.0.0.2"),
        "web.trusted_proxies must be networks such as 10.0.0.0/8, not '10.0.0.1,10.0.0.2': separate items with spaces",
    ),
    (MailSettings(smtp="smtp://host:notaport"), "mail.smtp is not a valid URL. Check host and port."),
    (WebSettings(trusted_proxies=("proxy.example.com",)), "web.trusted_proxies must be networks"),
    (WebSettings(trusted_proxies=(1,)), "web.trusted_proxies must be text, not int"),
    (WebSettings(trusted_proxies=1), "web.trusted_proxies must be texts, not int"),
    (WebSettings(trusted_origins=("app.example.com",)), "web.trusted_origins must be like https://app.example.com"),
    (WebSettings(trusted_origins=("https://app.example.com/",)), "web.trusted_origins must be like"),
    (WebSettings(trusted_origins=("https://user@app.example.com",)), "web.trusted_origins must be like"),
    (WebSettings(trusted_origins=("*",)), "web.trusted_origins must be like"),
    (WebSettings(trusted_origins=("null",)), "web.trusted_origins must be like"),
    (MailSettings(sender="nobody"), "mail.sender must be like Name <name@example.com>, not 'nobody'"),
    (MailSettings(sender=""), "mail.sender must be like"),
    (MailSettings(sender="a@b@c"), "mail.sender must be like"),
    (MailSettings(sender="=?utf-8?q?x?=@example.com"), "mail.sender must be like"),
]


@pytest.mark.parametrize(("wrong", "said"), PROBLEMS, ids=[str(wrong) for wrong, _ in PROBLEMS])
def test_an_unsafe_installation_is_refused_in_one_line(wrong, said):
    top, sections = (wrong, []) if isinstance(wrong, dict) else ({}, [wrong])
    assert refused(*sections, **top).startswith(said)


@pytest.mark.parametrize("resource", [
    "http://orders.example.com", "https://orders.example.com/#a", "https://orders.example.com/?a=b", "orders",
    "https://user@orders.example.com", "https://auth.example.com", "https://auth.example.com/", "https://AUTH.example.com:443",
    "https://orders.example.com/" + "x" * 256, "",
])  # fmt: skip
def test_an_invalid_resource_is_refused_at_start(resource):
    """The same rules as for service clients: no http to other machines, and not the issuer in any spelling."""
    section = TokenSettings(resources=("https://orders.example.com", resource))
    assert refused(section, issuer=ISSUER).startswith(f"tokens.resources must hold valid resources, not {resource!r}. ")


def test_the_constructor_refuses_what_settings_refuse():
    with pytest.raises(ConfigurationError, match=r"^issuer must be"):
        Ostiary(issuer="nonsense", environ={}, config=None)
    with pytest.raises(ConfigurationError, match=r"^LampSettings: no enabled slice"):
        Ostiary(None, LampSettings(), environ={}, config=None)


def test_the_line_names_the_variable_or_file_that_is_wrong(tmp_path):
    assert refused(environ={"OSTIARY_PRODUCTION": "ja"}) == "OSTIARY_PRODUCTION: production must be true or false"
    toml = tmp_path / "ostiary.toml"
    toml.write_text("[web]\nbody_limit = '64K'")
    assert refused(config=toml) == f"{toml}: web.body_limit must be a whole number"


def test_a_misspelt_variable_is_refused_and_the_right_one_named():
    """Otherwise OSTIARY_PRODUCTON=1 would silently start a development server."""
    said = refused(environ={"OSTIARY_PRODUCTON": "1"})
    assert said == "OSTIARY_PRODUCTON: there is no such setting; did you mean OSTIARY_PRODUCTION?"
    assert refused(environ={"OSTIARY_QQQQQQQQ": "1"}) == "OSTIARY_QQQQQQQQ: there is no such setting"
    assert read_settings({}, config=None, environ={"PATH": "/bin", "OSTIARYX": "1"}).settings.production is False


@pytest.mark.parametrize(("old", "new"), {
    "session_limit": "sessions.limit", "access_lifetime": "tokens.access_lifetime", "key_algorithm": "keys.algorithm",
    "smtp": "mail.smtp", "body_limit": "web.body_limit", "hashing_threads": "hashing.threads",
    "sessions.limits": "sessions.limit", "isuer": "issuer",
}.items())  # fmt: skip
def test_an_unknown_name_is_refused_and_the_nearest_one_named(old, new, tmp_path):
    toml = tmp_path / "ostiary.toml"
    section, _, field = old.rpartition(".")
    toml.write_text(f"[{section}]\n{field} = 5" if section else f"{old} = 5")
    assert refused(config=toml) == f"{toml}: there is no setting {old!r}; did you mean {new}?"


def test_all_problems_are_found_and_the_first_is_raised(tmp_path):
    toml = tmp_path / "ostiary.toml"
    toml.write_text('prefix = "no slash"\nisuer = "https://auth.example.com"\n[lamp]\npower = 0\n')
    environ = {"OSTIARY_LAMP_COLOUR": "blue", "OSTIARY_TYPO": "1", "OSTIARY_LAMP_ON": "perhaps"}
    loaded = load(STATED, [DoorSettings(width=0)], environ=environ, config=toml)
    assert {finding.name: finding.problem for finding in loaded.findings if finding.problem} == {
        "prefix": f"{toml}: prefix must be a path such as /auth, not 'no slash'",
        "front_door.width": "front_door.width must be between 1 and 1000, not 0",
        "lamp.power": f"{toml}: lamp.power must be between 1 and 100, not 0",
        "lamp.colour": "OSTIARY_LAMP_COLOUR: lamp.colour must be white, red or green, not 'blue'",
        "lamp.on": "OSTIARY_LAMP_ON: lamp.on must be true or false",
        "isuer": f"{toml}: there is no setting 'isuer'; did you mean issuer?",
        "OSTIARY_TYPO": "OSTIARY_TYPO: there is no such setting",
    }
    with pytest.raises(ConfigurationError, match="prefix must be a path"):
        _ = loaded.settings


def test_a_rule_that_spans_sections_is_applied_to_the_merged_values():
    def rule(settings):
        is_dark = settings.of(LampSettings).on and settings.of(LampSettings).power < 10
        return ("front_door.width", "must be at least 100 with so weak a lamp") if is_dark else None

    loaded = load(
        STATED, [LampSettings(power=9)], environ={"OSTIARY_FRONT_DOOR_WIDTH": "91"}, config=None, rules=[rule]
    )
    (problem,) = [finding.problem for finding in loaded.findings if finding.problem]
    assert problem == "OSTIARY_FRONT_DOOR_WIDTH: front_door.width must be at least 100 with so weak a lamp"
    assert load(STATED, [LampSettings(power=10)], config=None, rules=[rule]).settings


# --- programming errors -----------------------------------------------------------------------------------------------


def with_field(name, section="lamp"):
    fields = {"section": section, "__annotations__": {"section": ClassVar[str], name: int}, name: setting("A size.", 1)}
    return dataclasses.dataclass(frozen=True, kw_only=True)(type("MoreSettings", (Section,), fields))


@pytest.mark.parametrize(
    ("section", "field", "said"),
    [
        ("lamp", "power", "two settings are called lamp.power"),
        ("front", "door_width", r"two settings are called front.door_width \(OSTIARY_FRONT_DOOR_WIDTH\)"),
        ("lamp", "key_file", "no setting can be called lamp.key_file"),
        ("lamp", "port", "no setting can be called lamp.port"),
        ("lamp", "service_host", "no setting can be called lamp.service_host"),
        ("env", "size", "no setting can be called env.size"),
        ("", "name", "no setting can be called name"),
        ("secret", "size", "no section can be called secret"),
    ],
)
def test_duplicate_and_reserved_names_fail_when_settings_are_loaded(section, field, said):
    with pytest.raises(TypeError, match=said):
        load([*STATED, with_field(field, section)], config=None)


def test_similar_names_are_allowed():
    """`brand.name`: Docker would set it only for a linked container with exactly that name."""
    assert load([with_field("name", "brand")], environ={"OSTIARY_BRAND_NAME": "3"}, config=None).settings
