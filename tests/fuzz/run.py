"""One target under the fuzzer, until the time is over or something is found: what scripts/fuzz and the test start.

    python -m tests.fuzz.run TARGET FOLDER [libFuzzer's options]

Starts from tests/fuzz/corpus/TARGET; inputs that reach something new are added to FOLDER/corpus, an input that breaks a
promise, or takes longer than `SECONDS_FOR_ONE`, is left in FOLDER. Ends with another status than 0 then.
"""

import importlib
import sys
from pathlib import Path
from typing import Final

import atheris

HERE: Final = Path(__file__).parent
LONGEST: Final = 4096  # bytes: enough for every structure there is; giants are refused by their size
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
