"""The programs of these tests themselves."""

import secrets
import socket

from tests.machines.daemons import ValkeyNode


def test_a_program_tries_other_ports_if_its_port_is_taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        node = ValkeyNode(secrets.token_hex(16), "cluster-enabled yes", bus=True)
        node.port = other.getsockname()[1]
        with node:
            assert node.port != other.getsockname()[1]
            assert node.command("PING") == b"PONG"
