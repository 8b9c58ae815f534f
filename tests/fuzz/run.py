"""Fuzzes one target until the time is over or a failure is found. scripts/fuzz and the test start this module.

    python -m tests.fuzz.run TARGET FOLDER [libFuzzer options]

The run starts from tests/fuzz/corpus/TARGET. Inputs that reach new code are added to FOLDER/corpus. An input that fails
a check, or takes longer than `SECONDS_FOR_ONE`, is saved in FOLDER, and the exit status is not 0.
"""

import importlib
import sys
from pathlib import Path
from typing import Final

import atheris

HERE: Final = Path(__file__).parent
LONGEST: Final = 4096  # bytes: enough for every structure. Larger inputs are rejected by their size
SECONDS_FOR_ONE: Final = 5
MEGABYTES: Final = 1024


def main() -> None:
    target, folder, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["ostiary"]):
        check = importlib.import_module(f"tests.fuzz.targets.{target}").check
    found = Path(folder) / "corpus"
    found.mkdir(parents=True, exist_ok=True)
    fuzzer = [f"-max_len={LONGEST}", f"-timeout={SECONDS_FOR_ONE}", f"-rss_limit_mb={MEGABYTES}"]
    fuzzer += [f"-dict={HERE / 'words.dict'}", f"-artifact_prefix={folder}/", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *fuzzer, *options, str(found), str(HERE / "corpus" / target)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
