"""Valkey servers that watch or replicate each other."""

import contextlib
import secrets
from typing import Final

from tests.machines.daemons import ValkeyNode
from tests.machines.load import until

SERVICE: Final = "counters"
PRIMARIES: Final = 3
SLOTS: Final = 16384
DOWN_MILLISECONDS: Final = 1000
"""After this time without an answer, a node counts as dead."""


class Watched:
    """A primary, its replica, and three Sentinels."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        password = secrets.token_hex(16)
        self.primary = stack.enter_context(ValkeyNode(password))
        self.replica = stack.enter_context(ValkeyNode(password, f"replicaof 127.0.0.1 {self.primary.port}"))
        watch = (
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary.port} 2",
            f"sentinel auth-pass {SERVICE} {password}",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_MILLISECONDS}",
            f"sentinel failover-timeout {SERVICE} 3000",
            f"sentinel sentinel-pass {password}",
        )
        self.sentinels = [stack.enter_context(ValkeyNode(password, *watch, sentinel=True)) for _ in range(3)]
        until(lambda: in_sync(self.replica))
        until(lambda: all(self.seen_by(each)[b"num-other-sentinels"] == b"2" for each in self.sentinels))
        until(lambda: all(self.seen_by(each)[b"num-slaves"] == b"1" for each in self.sentinels))
        hosts = ",".join(each.address for each in self.sentinels)
        self.url = f"valkey+sentinel://:{password}@{hosts}/{SERVICE}/0?sentinel_password={password}"

    @property
    def primaries(self) -> list[ValkeyNode]:
        return [self.primary]

    def kill_a_primary(self) -> None:
        """After the replica has received everything."""
        self.primary.command("WAIT", 1, 5000)
        self.primary.kill()

    def switch_over(self, _key: str) -> None:
        """The replica becomes the primary, and the primary its replica. Nothing is restarted."""
        until(lambda: self.sentinels[0].command("SENTINEL", "FAILOVER", SERVICE) == b"OK")
        self.primary, self.replica = self.replica, self.primary
        until(lambda: in_sync(self.replica))
        until(lambda: all(self.seen_by(each)[b"port"] == str(self.primary.port).encode() for each in self.sentinels))

    def seen_by(self, sentinel: ValkeyNode) -> dict[bytes, bytes]:
        words = sentinel.command("SENTINEL", "MASTER", SERVICE)
        return dict(zip(words[::2], words[1::2], strict=True))


class Cluster:
    """Three primaries, each with a replica."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        password = secrets.token_hex(16)
        lines = ("cluster-enabled yes", f"cluster-node-timeout {DOWN_MILLISECONDS}", "cluster-require-full-coverage no")
        self.nodes = [stack.enter_context(ValkeyNode(password, *lines, bus=True)) for _ in range(2 * PRIMARIES)]
        self.primaries, self.replicas = self.nodes[:PRIMARIES], self.nodes[PRIMARIES:]
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            first.command("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
        bounds = [SLOTS * number // PRIMARIES for number in range(PRIMARIES + 1)]
        for number, node in enumerate(self.primaries):
            node.command("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
        until(lambda: all(len(each.command("CLUSTER", "NODES").splitlines()) == len(self.nodes) for each in self.nodes))
        for primary, replica in zip(self.primaries, self.replicas, strict=True):
            replica.command("CLUSTER", "REPLICATE", primary.command("CLUSTER", "MYID").decode())
        until(lambda: all(b"cluster_state:ok" in each.command("CLUSTER", "INFO") for each in self.nodes))
        until(lambda: all(map(in_sync, self.replicas)))
        hosts = ",".join(each.address for each in self.nodes)
        self.url = f"valkey+cluster://:{password}@{hosts}"

    def kill_a_primary(self) -> None:
        """After its replica has received everything."""
        self.primaries[0].command("WAIT", 1, 5000)
        self.primaries[0].kill()

    def switch_over(self, key: str) -> None:
        """The replica of this key's primary takes over, and the primary becomes its replica. Nothing is restarted."""
        slot = int(self.nodes[0].command("CLUSTER", "KEYSLOT", key))
        number = next(number for number in range(PRIMARIES) if slot < SLOTS * (number + 1) // PRIMARIES)
        primary, replica = self.primaries[number], self.replicas[number]
        replica.command("CLUSTER", "FAILOVER")
        self.primaries[number], self.replicas[number] = replica, primary
        until(lambda: in_sync(primary))


def in_sync(replica: ValkeyNode) -> bool:
    return b"master_link_status:up" in replica.command("INFO", "replication")
