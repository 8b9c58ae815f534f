"""Help fits a terminal of 80 columns, and its paragraphs are filled."""

import inspect
import itertools

import pytest

from ostiary.cli import _command_line, _description
from tests.architecture.test_doors import commands
from tests.cli.program import call

COMMANDS = sorted(commands())
GROUPS = sorted({command.split()[0] for command in COMMANDS if " " in command})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_paragraph_of_help_is_not_broken_where_the_docstring_is(command):
    app = _command_line()
    for word in command.split():
        app = app[word]
    described = _description(app.default_command)
    assert described == app.help
    assert all("\n" not in paragraph for paragraph in described.split("\n\n"))
    assert described.split(".")[0] in " ".join(inspect.getdoc(app.default_command).split())


@pytest.mark.parametrize("command", ["", *GROUPS, *COMMANDS])
def test_help_fits_80_columns_and_fills_them(tmp_path, command):
    shown = call(*command.split(), "--help", folder=tmp_path, environ={"COLUMNS": "80"}).stdout
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    text = shown.partition("╭")[0].splitlines()[1:]  # below "Usage:"
    for line, following in itertools.pairwise(text):
        if line and following:
            first_word = following.split()[0]
            assert len(line.rstrip()) + 1 + len(first_word) > 80, f"{line!r} has room for {first_word!r}"
