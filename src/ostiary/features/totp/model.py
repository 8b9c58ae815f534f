"""Codes of authenticator apps, and recovery codes."""

import base64
import hashlib
import hmac
import io
import re
from dataclasses import dataclass
from typing import Final

import segno
from pyotp.totp import TOTP

from ostiary.core.entropy import Random
from ostiary.core.typed import bare_code

SECRET_SIZE: Final = 20  # RFC 4226 §4 R6 recommends 160 bits
STEP: Final = 30  # seconds; RFC 6238 §5.2
DRIFT: Final = 1  # steps before and after: RFC 6238 §5.2
RECOVERY_CODES: Final = 10

# \d and isdigit() also accept digits of other scripts, and int() accepts signs, spaces and underscores
_CODE: Final = re.compile(r"[0-9]{6}")
_RECOVERY_SIZE: Final = 15  # 120 bits: from 112 on, a hash without salt and stretching is enough (SP 800-63B-4 §3.1.2)
# both cases are listed, because IGNORECASE would also accept the long s and the Kelvin sign
_RECOVERY_CODE: Final = re.compile(r"[A-Za-z2-7]{24}")
_GROUP: Final = 4


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An account's secret, as it is stored. ``last_step`` is the time step of the last accepted code."""

    account_id: str
    sealed_secret: bytes
    last_step: int


@dataclass(frozen=True, slots=True)
class Started:
    """What is shown once, while TOTP is set up."""

    secret: str
    otpauth_uri: str
    qr_svg: str


def matching_step(secret: bytes, code: str, *, at: int) -> int | None:
    """The latest time step within `DRIFT` of ``at`` (seconds since the epoch) that has this code, or None. White space
    and dashes in the code are ignored.

    It is the latest, because if two steps have the same code, spending the earlier one would leave the code valid for
    the later one. Every step is computed and compared, so the time taken reveals neither which step matched nor whether
    one did.
    """
    code = bare_code(code)
    if not _CODE.fullmatch(code):
        return None
    otp = TOTP(_text(secret))
    around = range(at // STEP - DRIFT, at // STEP + DRIFT + 1)
    matching = [step for step in around if hmac.compare_digest(otp.generate_otp(step), code)]
    return max(matching, default=None)


def present(secret: bytes, *, email: str, host: str) -> Started:
    """The secret as text, as the URI for authenticator apps, and as a picture of that URI. Drawing takes about ten
    milliseconds of CPU time."""
    text = _text(secret)
    uri = TOTP(text).provisioning_uri(name=email, issuer_name=host)
    return Started(secret=text, otpauth_uri=uri, qr_svg=_drawn(uri))


def new_recovery_code(random: Random) -> str:
    """Six groups of four letters and digits. The digits 0, 1, 8 and 9 are not used, because they look like letters."""
    text = base64.b32encode(random.token(_RECOVERY_SIZE)).decode().lower()
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def recovery_code_hash(account_id: str, code: str) -> bytes | None:
    """What is stored and looked up, or None if this cannot be a recovery code. Case, white space and dashes are
    ignored."""
    bare = bare_code(code)
    if not _RECOVERY_CODE.fullmatch(bare):
        return None
    return hashlib.sha256(f"recovery code of {account_id}: {bare.lower()}".encode()).digest()


def _text(secret: bytes) -> str:
    return base64.b32encode(secret).decode()


def _drawn(uri: str) -> str:
    """An SVG for a page or an ``img`` element. It has no script and no style, and loads nothing."""
    svg = io.BytesIO()
    segno.make_qr(uri, error="m").save(
        svg, kind="svg", scale=4, xmldecl=False, nl=False, light="#fff", svgclass=None, lineclass=None
    )
    return svg.getvalue().decode()
