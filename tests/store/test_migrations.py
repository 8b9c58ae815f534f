"""Migration files are found in packages, numbered without gaps, and split into statements as both engines would."""

import contextlib
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import ConfigurationError
from ostiary.store.migrations import STORE, Migrations
from ostiary.store.splitting import statements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ; ;\n-- nothing\n;/* ; */", []),
        ("select 1", ["select 1"]),
        ("select 1;select 2;", ["select 1", "select 2"]),
        ("select ';', 'it''s; -- no' ; select 2", ["select ';', 'it''s; -- no'", "select 2"]),
        ('create table "a;b" ("it""s" text);', ['create table "a;b" ("it""s" text)']),
        ("select 1 -- one;\n + 2; -- end", ["select 1  \n + 2"]),
        ("select/* ; ' */1", ["select 1"]),
        ("select 1 - 2, 4 / 2, '/*'; select '*/'", ["select 1 - 2, 4 / 2, '/*'", "select '*/'"]),
        ("select '--'; select 2", ["select '--'", "select 2"]),
        ("-- it's\nselect 1", ["select 1"]),
    ],
)
def test_statements_end_where_both_engines_end_them(text, expected):
    assert list(statements(text)) == expected


@pytest.mark.parametrize("text", ["select 'a", 'select "a', "select 1 /* a", "select 'a''", "\n\nselect '"])
def test_an_unclosed_quote_or_comment_is_refused(text):
    """A missing quote would hide the statements after it."""
    with pytest.raises(ValueError, match=rf"line {text.count(chr(10)) + 1} opens"):
        list(statements(text))


PIECES = st.sampled_from(["select", " 1", "'", "''", '"', ";", "--", "\n", "/*", "*/", " - ", " / ", "a", ","])


def is_several(connection, text):
    try:
        connection.execute(text)
    except (sqlite3.Error, sqlite3.Warning) as error:
        return "one statement" in str(error)
    return False


@given(st.lists(PIECES, max_size=12).map("".join))
def test_sqlite_finds_only_one_statement_in_each(text):
    """For any combination of pieces, SQLite never finds a second statement in one of ours."""
    with closing(sqlite3.connect(":memory:")) as connection, contextlib.suppress(ValueError):
        assert not [statement for statement in statements(text) if is_several(connection, statement)]


def test_files_are_read_from_the_package():
    (first, *_) = STORE.files()
    assert (first.number, first.name, str(first)) == (1, "0001_store.sql", "store/0001_store.sql")
    assert first.statements()[0].startswith("create table feed_head")
    assert "create table" not in repr(first)


@pytest.mark.parametrize(
    "names",
    [
        ["0002_late.sql"],
        ["0001_a.sql", "0003_c.sql"],
        ["0001_a.sql", "0001_b.sql"],
        ["1_a.sql"],
        ["0001-a.sql"],
        ["0001_A.sql"],
    ],
)
def test_files_are_numbered_without_gaps(names):
    """With a missing file or a duplicate number, another installation would apply the files in another order."""
    with pytest.raises(ConfigurationError, match=r"should be called 000\d_"):
        Migrations("doors", lambda: dict.fromkeys(names, "select 1")).files()


def test_the_checksum_ignores_line_endings(tmp_path, monkeypatch):
    """A checkout on Windows contains the same migration."""
    for name, ends in (("unix_doors", "\n"), ("windows_doors", "\r\n")):
        folder = tmp_path / name / "migrations"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        (folder / "0001_doors.sql").write_bytes(f"create table doors (id text);{ends}-- end{ends}".encode())
        (folder / "notes.txt").write_text("no migration")
    monkeypatch.syspath_prepend(tmp_path)
    (unix,) = Migrations.of("doors", package="unix_doors").files()
    (windows,) = Migrations.of("doors", package="windows_doors").files()
    assert unix.checksum == windows.checksum


def test_a_file_that_cannot_be_parsed_is_named():
    with pytest.raises(ConfigurationError, match=r"doors/0001_doors\.sql.*line 2"):
        Migrations("doors", lambda: {"0001_doors.sql": "select 1;\nselect 'a"}).files()[0].statements()
