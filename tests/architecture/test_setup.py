"""What the scripts install."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

STANDINS = """
source scripts/_setup
id() { echo 0; }
apt_get() { echo "apt-get $1"; }
has_systemd() { true; }
systemctl() { echo "systemctl $*" >&3; }
install_programs a-missing-program
"""


def test_no_service_of_an_installed_program_runs_now_or_after_the_next_boot():
    """Debian enables and starts it. It is masked while its package is installed, and disabled afterwards."""
    shell = ["bash", "-euo", "pipefail", "-c", f"exec 3>&1\n{STANDINS}"]
    done = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert done == [
        "apt-get update",
        "systemctl mask --runtime a-missing-program.service",
        "apt-get install",
        "systemctl unmask --runtime a-missing-program.service",
        "systemctl disable a-missing-program.service",
    ]
