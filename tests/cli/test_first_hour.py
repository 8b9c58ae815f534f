"""A shell runs the commands of docs/first-hour.md unchanged, against a new server."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.cli.program import PATIENCE, Served, environment

PAGE = Path(__file__).parents[2] / "docs/first-hour.md"

# The parts of curl that the page uses, for machines without curl.
CURL = f"""#!{sys.executable}
import argparse
import httpx

options = argparse.ArgumentParser()
options.add_argument("-s", action="store_true")
options.add_argument("-H", action="append", default=[])
options.add_argument("-d")
options.add_argument("-o")
options.add_argument("-w", default="")
options.add_argument("url")
asked = options.parse_args()
headers = {{"content-type": "application/x-www-form-urlencoded"}} if asked.d else {{}}
headers |= {{name.lower(): value.strip() for name, _, value in (line.partition(":") for line in asked.H)}}
method = "GET" if asked.d is None else "POST"
answer = httpx.request(method, asked.url, headers=headers, content=asked.d, trust_env=False, timeout={PATIENCE})
print("" if asked.o else answer.text, end="")
print(asked.w.replace("%{{http_code}}", str(answer.status_code)).replace("\\\\n", "\\n"), end="")
"""


def test_the_commands_on_the_page_work_unchanged(tmp_path):
    script = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    curl = tmp_path / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text(CURL)
    curl.chmod(0o755)
    path = os.pathsep.join((str(curl.parent), str(Path(sys.executable).parent), os.environ["PATH"]))
    with Served(tmp_path) as served:
        served.ready()
        shell = subprocess.run(
            ["bash", "-eu", "-c", script.replace("http://127.0.0.1:8000", served.url)],
            cwd=tmp_path,
            env=environment({"PATH": path}),
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
            check=False,
        )
    assert shell.returncode == 0, shell.stderr
    assert "the same" in shell.stdout
    assert re.findall(r"(?:^|})(\d{3})$", shell.stdout, re.MULTILINE) == ["204", "401", "200", "401"]
    assert '"name":"the laptop"' in shell.stdout
