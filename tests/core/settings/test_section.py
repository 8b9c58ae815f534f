"""Settings classes: they remember which fields were passed, are immutable, and show no secret."""

import copy
import dataclasses
import logging
import pickle
import traceback

import pytest

from ostiary.app import Ostiary
from ostiary.app.slices import enabled, read_settings, stated
from ostiary.core.settings import Secret, Settings, load
from ostiary.errors import ConfigurationError
from ostiary.settings import MailSettings
from tests.core.given import given
from tests.core.settings.toys import HIDDEN, STATED, LampSettings


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda section: pickle.loads(pickle.dumps(section))])
def test_a_copy_remembers_which_fields_were_passed(again):
    section = LampSettings(power=40, key="k")
    copied = again(section)
    assert copied == section
    assert dict(copied.given()) == dict(section.given()) == {"key": "k", "power": 40}
    assert type(copied.key) is Secret
    found = load(STATED, [copied], environ={"OSTIARY_LAMP_POWER": "7", "OSTIARY_LAMP_COLOUR": "red"}, config=None)
    assert (found.settings.of(LampSettings).power, found.settings.of(LampSettings).colour) == (40, "red")


def test_settings_cannot_be_changed_and_survive_pickling():
    """Worker processes receive them pickled."""
    settings = given(MailSettings(smtp="smtp://me:hunter2@mail.example.com"), secret=HIDDEN)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.production = True
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.of(MailSettings).sender = "x@example.com"
    again = pickle.loads(pickle.dumps(settings))
    assert again == settings
    assert again.of(MailSettings).smtp.reveal() == "smtp://me:hunter2@mail.example.com"


def test_fields_are_passed_by_name_and_unknown_ones_refused():
    with pytest.raises(TypeError):
        LampSettings(5)
    with pytest.raises(TypeError):
        LampSettings(watts=5)


def test_settings_of_a_slice_that_is_not_enabled_do_not_exist():
    with pytest.raises(LookupError):
        given().of(LampSettings)


def test_every_settings_class_has_its_own_section():
    sections = stated(enabled())
    assert len({section.section for section in sections}) == len(sections)
    for section in (Settings, *sections):
        assert section.__dataclass_params__.frozen
        fields = [field.name for field in dataclasses.fields(section) if field.name != "sections"]
        assert fields == [each.field for each in section.settings()], "each field is made by setting()"


def test_an_origin_is_written_as_browsers_write_it():
    def origin(issuer):
        return given(issuer=issuer).issuer_origin

    assert origin("https://Auth.Example.com/realm") == "https://auth.example.com"
    assert origin("https://auth.example.com:443") == "https://auth.example.com"
    assert origin("http://127.0.0.1:8000") == "http://127.0.0.1:8000"


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_secret_appears_in_no_text_representation():
    """N3: logs, tracebacks and f-strings."""
    secret = Secret(HIDDEN)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>80}", "%s" % secret, f"{secret!r}", f"{[secret]}"]  # noqa: UP031
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s and %r", (secret, secret), None)
    assert all("hunter2" not in text for text in [*shown, record.getMessage()])
    assert secret.reveal() == HIDDEN
    assert copy.deepcopy(secret).reveal() == HIDDEN


def test_a_secret_passed_as_plain_text_is_hidden_afterwards():
    section = MailSettings(smtp="smtp://me:hunter2@mail.example.com")
    shown = [repr(section), str(section), repr(Settings(secret=HIDDEN)), repr(dict(section.given()))]
    assert "hunter2" not in "".join(shown)
    assert section.smtp.reveal() == "smtp://me:hunter2@mail.example.com"


def test_settings_hide_the_secret_the_mail_password_and_the_passwords_of_databases():
    top = {
        "secret": HIDDEN,
        "database": "postgresql://me:hunter2@db.example.com/auth",
        "hot": "valkey://:hunter2@hot.example.com",
    }
    mail = MailSettings(smtp="smtp://me:hunter2@mail.example.com")
    loaded = read_settings(top, [mail], config=None, environ={})
    auth = Ostiary(top["database"], mail, config=None, environ={})
    shown = [repr(loaded), repr(loaded.settings), str(dataclasses.replace(loaded.settings, prefix="/id")), repr(auth)]
    assert "hunter2" not in "".join([*shown, repr(loaded.settings.sections), repr(auth.findings)])


@pytest.mark.parametrize(
    ("top", "sections"),
    [
        ({"secret": b"hunter2"}, ()),
        ({"secret": "hunter2"}, ()),
        ({}, (MailSettings(smtp="ftp://me:hunter2@mail.example.com"),)),
        ({}, (MailSettings(smtp="smtp://me:hunter2@mail.example.com:hunter2"),)),
        ({}, (MailSettings(smtp=b"hunter2"),)),
        ({"database": "mysql://me:hunter2@db"}, ()),
        ({"database": "sqlite://hunter2.db"}, ()),
        ({"hot": "redis+hunter2://me:hunter2@hot"}, ()),
    ],
    ids=str,
)
async def test_no_error_quotes_a_secret(top, sections, tmp_path):
    arguments = {"database": f"sqlite:///{tmp_path / 'x.db'}"} | top
    with pytest.raises(ConfigurationError) as problem:
        await Ostiary(arguments.pop("database"), *sections, **arguments, config=None, environ={}).open()
    assert "hunter2" not in "".join(traceback.format_exception_only(problem.value))
