"""Output contains no terminal escapes, and passwords in URLs are hidden."""

import pytest

from ostiary.cli.output import print_json, print_table, visible, without_password

HOSTILE = "\x1b[2J\r\n\u2028\u202e\x9b[31m\udcff\x00[red]x"


def test_control_characters_are_escaped(capsys):
    assert visible(HOSTILE).isascii()
    assert visible("größe ✓") == "größe ✓"
    print_table(("name",), [(HOSTILE,)])
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    assert "\\x1b[2J\\r\\n\\u2028\\u202e\\x9b[31m\\udcff\\x00[red]x" in printed


def test_json_is_one_line_of_ascii(capsys):
    print_json({"name": HOSTILE})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert printed.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:pass@host/name", "postgresql://user:…@host/name"),
        ("postgresql://user:p@ss/wo:rd@host/name", "postgresql://user:…@host/name"),
        ("valkey://:pass@host:6379/0", "valkey://:…@host:6379/0"),
        (
            "postgresql://host/name?user=u&password=pass&sslmode=require",
            "postgresql://host/name?user=u&password=…&sslmode=require",
        ),
        ("postgresql://user@host/name", "postgresql://user@host/name"),
        ("sqlite:///ostiary.db", "sqlite:///ostiary.db"),
    ],
)
def test_a_password_in_a_url_is_hidden(url, shown):
    assert without_password(url) == shown
