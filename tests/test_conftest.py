"""The hook for coroutine tests catches every fault: in a file of tests with one fault each, every one must fail."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TESTS = """
import asyncio
import pytest
from hypothesis import given, strategies

async def test_fails():
    assert 1 == 2

async def test_leaves_a_task():
    test_leaves_a_task.task = asyncio.create_task(asyncio.sleep(60))

async def _fail():
    raise LookupError("nobody awaited me")

async def test_leaves_an_error():
    asyncio.create_task(_fail())
    await asyncio.sleep(0.01)

async def test_forgets_an_await():
    asyncio.sleep(0)

@given(number=strategies.integers(0, 9))
async def test_fails_for_an_example(tmp_path_factory, number):
    assert number < 3

@given(number=strategies.integers(0, 9))
async def test_passes_for_each_example(number):
    assert number < 10

class TestInAClass:
    @pytest.mark.parametrize("one", [1])
    async def test_passes(self, tmp_path, one):
        task = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        task.cancel()
        assert one == 1
"""

REASONS = {
    "test_fails": "assert 1 == 2",
    "test_leaves_a_task": "the test left tasks behind",
    "test_leaves_an_error": "nobody awaited me",
    "test_forgets_an_await": "was never awaited",
    "test_fails_for_an_example": "number=3",
}


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flaws")
    (folder / "test_flaws.py").write_text(TESTS)
    config = ["-c", ROOT / "pyproject.toml", "--rootdir", folder, "-p", "tests.conftest", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *config, folder / "test_flaws.py"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(("test", "reason"), REASONS.items(), ids=REASONS)
def test_each_faulty_test_fails_with_its_reason(output, test, reason):
    assert re.search(rf"^FAILED \S+::{test}\b", output, re.MULTILINE)
    assert reason in output


def test_coroutine_tests_without_a_fault_pass(output):
    assert f"{len(REASONS)} failed, 2 passed" in output
