"""Every reader of what strangers send, under a coverage-guided fuzzer: a moment here, hours with scripts/fuzz."""

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

# as in pyproject: where there is a wheel, the fuzzer is installed, and its absence is a failure
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
    """In a process of its own: the fuzzer instruments what it imports, and ends by ending the process."""
    command = [sys.executable, "-c", START.format(before=before), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=60, check=False)


def test_every_target_has_a_corpus_and_the_corpus_is_small():
    assert sorted({path.parent.name for path in CORPUS}) == TARGETS
    assert sum(path.stat().st_size for path in CORPUS) < MOST_CORPUS


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_input_of_the_corpus_keeps_what_its_target_promises(path):
    """Attacks, vectors, and whatever the fuzzer has ever found; also where there is no fuzzer."""
    importlib.import_module(f"tests.fuzz.targets.{path.parent.name}").check(path.read_bytes())


@needs_fuzzer
@pytest.mark.parametrize("target", TARGETS)
def test_a_moment_of_fuzzing_finds_nothing(target, tmp_path):
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
def test_the_fuzzer_finds_what_is_broken(target, tmp_path):
    """A check is taken out before it starts; the input that shows it is left behind."""
    done = fuzz(target, str(tmp_path), "-max_total_time=30", "-seed=1", before=BROKEN[target])
    assert done.returncode != 0
    assert "Uncaught Python exception" in done.stdout
    assert len(list(tmp_path.glob("crash-*"))) == 1
