"""The wheel contains the whole package, and the base install can issue and verify a token."""

import subprocess
import sys
import zipfile

import pytest

from tests.architecture.source import ROOT, SOURCE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ISSUE_AND_VERIFY = """
import importlib.metadata, time
from ostiary import Verifier
from ostiary.errors import TokenExpired
from ostiary.jose import KeySet, SigningKey, sign
from ostiary.verifier import ACCESS_TOKEN_TYPE, AccessToken, encode_access_token

installed = {each.metadata["Name"].lower() for each in importlib.metadata.distributions()}
assert installed <= {"ostiary", "cryptography", "msgspec", "cffi", "pycparser", "pip", "setuptools"}, installed

now = int(time.time())
key = SigningKey.generate("ES256")
claims = AccessToken(
    iss="https://auth.example.com", sub="account:1", aud="https://orders.example.com", exp=now + 900, iat=now, jti="1",
    client_id="client:web", sid="1", ver=1, roles=("user",), scope="", auth_time=now, acr="1", amr=("pwd",),
)
token = sign(encode_access_token(claims), key, typ=ACCESS_TOKEN_TYPE)
verifier = Verifier(keys=KeySet([key.public]), issuer=claims.iss, audience=claims.aud)
assert verifier.verify(token) == claims
try:
    verifier.verify(token, now=now + 2000)
except TokenExpired:
    print("verified")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python interpreter of a new virtual environment."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def wheel(python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([python, "-m", "pip", "--quiet", "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    (built,) = folder.glob("ostiary-*.whl")
    return built


def test_the_wheel_contains_every_file_of_the_package(wheel):
    files = [path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    packed = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert sorted(packed) == sorted(path.relative_to(SOURCE).as_posix() for path in files)


def test_the_base_install_issues_and_verifies_a_token(python, wheel, tmp_path):
    subprocess.run([python, "-m", "pip", "--quiet", "install", wheel], check=True)
    done = subprocess.run(
        [python, "-W", "error", "-c", ISSUE_AND_VERIFY], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("verified\n", "")
