"""The memory of `ostiary serve`."""

import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.program import PASSWORD, Served

THREADS = 4
BOUND = 110
"""MiB. A worker needs about 75. It kept 19 more for each thread that had hashed a password."""


def resident(process_id):
    """MiB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{process_id}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give large blocks back by themselves")
def test_a_worker_gives_the_memory_of_password_hashes_back(tmp_path):
    settings = {"OSTIARY_SIGN_IN_LIMIT": "1000/second", "OSTIARY_HASHING_THREADS": str(THREADS)}
    with Served(tmp_path, environ=settings) as served, served.ready().client() as http:

        def fail_to_sign_in(number):
            answer = http.post("/auth/login", json={"email": f"nobody{number}@example.com", "password": PASSWORD})
            assert answer.status_code == 401, answer.text  # after a hash, as for an account

        with ThreadPoolExecutor(2 * THREADS) as threads:
            list(threads.map(fail_to_sign_in, range(8 * THREADS)))
        (worker,) = served.workers
        assert resident(worker) < BOUND
