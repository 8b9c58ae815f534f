"""Importing only defines names, and the library needs only the dependencies of the base install."""

import subprocess
import sys

from tests.architecture.source import SOURCE

# Reports every action that reaches beyond the process, and every environment lookup by one of our modules.
IMPORT_EVERYTHING = """
import importlib, os, pkgutil, sys, threading

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
DEEDS = {"os.mkdir", "os.remove", "os.rename", "os.system", "socket.bind", "socket.connect", "sqlite3.connect",
         "subprocess.Popen", "os.fork", "os.posix_spawn", "_thread.start_new_thread"}

def watch(event, arguments):
    if event in DEEDS or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
        print(event, arguments)

class Watched(type(os.environ)):
    def __getitem__(self, key):
        frame = sys._getframe(1)
        while frame.f_globals["__name__"] in {"os", "collections.abc", "_collections_abc"}:
            frame = frame.f_back
        if frame.f_globals["__name__"].split(".")[0] == "ostiary":
            print(frame.f_globals["__name__"], "reads the environment:", key)
        return super().__getitem__(key)

os.environ.__class__ = Watched
sys.addaudithook(watch)
import ostiary
for module in pkgutil.walk_packages(ostiary.__path__, "ostiary."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
if threading.active_count() != 1:
    print("threads:", threading.enumerate())
"""

IMPORT_BASE = """
import sys
before = set(sys.modules)
import ostiary, ostiary.errors, ostiary.jose, ostiary.verifier
print(*sorted({name.split(".")[0] for name in sys.modules.keys() - before} - sys.stdlib_module_names))
"""

# _cffi_backend and _openssl belong to cryptography. msgspec uses typing_extensions if it is installed.
BASE = {"_cffi_backend", "_openssl", "cryptography", "msgspec", "ostiary", "typing_extensions"}


def test_importing_every_module_prints_nothing_and_has_no_side_effects(tmp_path):
    done = _run(IMPORT_EVERYTHING, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_side_effects_at_import_are_detected(tmp_path):
    package = tmp_path / "src" / "ostiary"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "busy.py").write_text("import os\nos.environ.get('HOME')\nopen('made', 'w').close()\nprint('hello')\n")
    done = _run(IMPORT_EVERYTHING, folder=tmp_path, source=tmp_path / "src")
    assert "ostiary.busy reads the environment: HOME" in done.stdout
    assert "open ('made'" in done.stdout
    assert "hello" in done.stdout


def test_the_library_imports_only_base_dependencies(tmp_path):
    done = _run(IMPORT_BASE, folder=tmp_path)
    assert done.stderr == ""
    assert {"cryptography", "msgspec", "ostiary"} <= set(done.stdout.split()) <= BASE


def _run(script, *, folder, source=SOURCE):
    return subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", script],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
