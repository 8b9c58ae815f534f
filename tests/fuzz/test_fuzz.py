"""Fuzzes every parser of untrusted input with a coverage-guided fuzzer: briefly here, for hours with scripts/fuzz."""

import importlib
import platform
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TARGETS = sorted(path.stem for path in (HERE / "targets").glob("*.py"))
CORPUS = sorted(path for path in (HERE / "corpus").glob("*/*"))
MOST_CORPUS = 200_000  # bytes

# The same condition as in pyproject.toml. If there is a wheel, the fuzzer is installed, and its absence is a failure.
WITH_FUZZER = (
    sys.platform == "linux"
    and platform.machine() == "x86_64"
    and sys.implementation.name == "cpython"
    and sys.version_info < (3, 15)
)
needs_fuzzer = pytest.mark.skipif(not WITH_FUZZER, reason="atheris has no wheel for this platform")


START = """
import atheris
with atheris.instrument_imports(include=["ostiary"]):
    {before}
from tests.fuzz.run import main
main()
"""


def fuzz(*arguments: str, before: str = "pass") -> "subprocess.CompletedProcess[str]":
    """Runs in a separate process, because the fuzzer instruments its imports and ends the process when it is done."""
    command = [sys.executable, "-c", START.format(before=before), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=60, check=False)


def test_every_target_has_a_corpus_and_the_corpus_is_small():
    assert sorted({path.parent.name for path in CORPUS}) == TARGETS
    assert sum(path.stat().st_size for path in CORPUS) < MOST_CORPUS


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_corpus_input_passes_its_target(path):
    """Replays attacks, vectors and everything the fuzzer has found. This does not need the fuzzer."""
    importlib.import_module(f"tests.fuzz.targets.{path.parent.name}").check(path.read_bytes())


@needs_fuzzer
@pytest.mark.parametrize("target", TARGETS)
def test_a_short_fuzzing_run_finds_nothing(target, tmp_path):
    done = fuzz(target, str(tmp_path), "-runs=2000", "-max_total_time=1", "-seed=1")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "INITED" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


BROKEN = {
    "strict": "import ostiary.jose.strict_json as module; module._unique = dict",
    "token": "from ostiary.jose import HmacKey; HmacKey.matches = lambda *_: True",
    "header": "import ostiary.jose.header as module; module._REFUSED = frozenset()",
    "credential": "import ostiary.verifier.credential as module; module._BEARER = b'basic'",
}


@needs_fuzzer
@pytest.mark.parametrize("target", BROKEN)
def test_the_fuzzer_finds_a_disabled_check(target, tmp_path):
    """A check is disabled before the fuzzer starts. The fuzzer must leave one input that exposes this."""
    done = fuzz(target, str(tmp_path), "-max_total_time=30", "-seed=1", before=BROKEN[target])
    assert done.returncode != 0
    assert "Uncaught Python exception" in done.stdout
    assert len(list(tmp_path.glob("crash-*"))) == 1
