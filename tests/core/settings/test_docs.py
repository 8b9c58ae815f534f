"""docs/settings.md is generated from the settings classes."""

import re
import subprocess
import sys

import pytest

from ostiary.app.slices import enabled, stated
from ostiary.core.settings import Settings
from tests.architecture.source import ROOT

SCRIPT = ROOT / "scripts" / "_settings_page.py"
PAGE = ROOT / "docs" / "settings.md"


def check(script):
    return subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)


def test_the_page_is_up_to_date():
    done = check(SCRIPT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_that_differs_is_reported_and_can_be_written(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "docs").mkdir()
    script, page = tmp_path / "scripts" / SCRIPT.name, tmp_path / "docs" / PAGE.name
    script.write_text(SCRIPT.read_text())
    script.with_suffix(".md").write_text(SCRIPT.with_suffix(".md").read_text())
    for text in (None, PAGE.read_text().replace("`5/minute`", "`6/minute`", 1)):
        if text is not None:
            page.write_text(text)
        done = check(script)
        assert (done.returncode, done.stdout) == (1, "docs/settings.md differs from the code: run scripts/fix\n")
    subprocess.run([sys.executable, script, "--write"], check=True)
    assert page.read_text() == PAGE.read_text()


def test_every_setting_has_one_row_in_the_table_of_its_section():
    found = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif row := re.match(r"\| `([a-z_.]+)` \| ", line):
            found.setdefault(heading, []).append(row[1])
    sections = (Settings, *stated(enabled()))
    assert found == {
        section.section or "Without a section": [each.name for each in section.settings()] for section in sections
    }


@pytest.mark.parametrize(
    "row",
    [
        "| `sessions.limit` | `5` | 1 to 10000 | How many sessions ",
        "| `sign_in.limit` | `5/minute` | a rate | Sign-in attempts ",
        "| `mail.smtp` | none | a secret | The mail server: smtp://user:password@host:587 (STARTTLS) or ",
        "| `revocations.policy` | `refuse` | `refuse`, `serve` | What happens then: `refuse` answers 503, ",
        "| `registration.require_verified_email` | the value of `production` | `true`, `false` | Whether an account ",
        "| `web.trusted_proxies` | none | a list | Networks ",
    ],
)
def test_a_row_has_the_default_the_bounds_and_the_text_of_the_field(row):
    assert [line for line in PAGE.read_text().splitlines() if line.startswith(row)]
