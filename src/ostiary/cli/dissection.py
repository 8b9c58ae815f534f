"""Takes a token apart: what each part means, and every problem with it.

This never fails, on any text. It checks no signature, and nothing in the output means that a signature would be valid.
"""

import base64
import json
import math
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary.cli import glossary
from ostiary.cli.output import moment
from ostiary.core.clock import MICROSECONDS
from ostiary.errors import InvalidToken
from ostiary.jose import MAX_TOKEN, base64url, strict_json
from ostiary.jose import header as headers
from ostiary.verifier import ACCESS_TOKEN_TYPE, AccessToken
from ostiary.verifier.access_token import decode_access_token
from ostiary.verifier.verifier import MAX_LIFETIME

_SEGMENTS: Final = 3
_SEGMENTS_OF_JWE: Final = 5
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z
_REQUIRED: Final = tuple(AccessToken.__struct_fields__[: -len(AccessToken.__struct_defaults__)])
_UNITS: Final = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_LONGEST_SHOWN: Final = 2000  # characters of one value
_LONGEST_REASON: Final = 100  # characters
_MOST_BRACKETS: Final = 200
_TEXTS: Final = ("iss", "sub", "jti", "client_id", "sid")
_BASE64URL: Final = frozenset(string.ascii_letters + string.digits + "-_")
_BASE64: Final = frozenset(string.ascii_letters + string.digits + "+/")
_TO_STANDARD: Final = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Line:
    """One member of the header, or one claim: its value as JSON, and what it means."""

    name: str
    value: str
    meaning: str


@dataclass(slots=True)
class Dissection:
    header: dict[str, Any] | None = None
    claims: dict[str, Any] | None = None
    signature: str = "none, so there is nothing to check"
    header_lines: list[Line] = field(default_factory=list)
    claim_lines: list[Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def dissect(text: str, *, now: int) -> Dissection:
    """Takes ``text`` apart; ``now`` is in seconds since the epoch."""
    found, token = Dissection(), text.strip()
    if token[:7].lower() == "bearer ":
        found.problems.append('it starts with "Bearer ", the scheme of the Authorization header: remove it')
        token = token[7:].lstrip()
    found.problems += _problems_of_form(token)
    # verifiers read no more than this
    header, dot, rest = token[:MAX_TOKEN].partition(".")
    if dot:
        payload, _, signature = rest.partition(".")
        _explain_header(found, header)
        _explain_claims(found, payload, now)
        _explain_signature(found, signature)
    return found


def _problems_of_form(token: str) -> Iterator[str]:
    segments = token.count(".") + 1
    if not token:
        yield "it is empty"
    elif token.startswith("ostiary_"):
        yield "it is an opaque token, such as a refresh token: only the server that issued it can read it"
    elif segments == _SEGMENTS_OF_JWE:
        yield "it has five segments: an encrypted token (JWE), which only its recipient can read"
    elif segments != _SEGMENTS:
        counted = _counted(segments, "segment")
        yield f"it has {counted}, but a signed token has three, separated by dots: header, payload and signature"
    if len(token) > MAX_TOKEN:
        yield f"it has {len(token)} characters, but verifiers refuse more than {MAX_TOKEN}"


# -- segments ----------------------------------------------------------------------------------------------------------


def _read(part: str, segment: str) -> tuple[dict[str, Any] | None, list[str]]:
    """The JSON object in a segment, as far as it can be read, and its problems."""
    problems = list(_problems_of_base64url(part, segment))
    raw = _decoded_somehow(segment)
    try:
        return strict_json.loads_object(raw), problems
    except ValueError as problem:
        reason = " ".join(str(problem).split()) or "it cannot be read"
        return _object_somehow(raw), [*problems, f"the {part} is not a strict JSON object: {reason[:_LONGEST_REASON]}"]


def _problems_of_base64url(part: str, segment: str) -> Iterator[str]:
    if not segment:
        yield f"the {part} is empty"
    elif "=" in segment:
        yield f"the {part} has padding (=), which tokens never use"
    elif strange := sorted(set(segment) & set("+/")):
        yield f"the {part} contains {' and '.join(strange)} from base64, but tokens use base64url with - and _"
    elif not set(segment) <= _BASE64URL:
        yield f"the {part} contains characters that are not base64url"
    elif not _is_canonical(segment):
        yield f"the {part} is truncated or has unused bits set"


def _is_canonical(segment: str) -> bool:
    try:
        base64url.decode(segment.encode("ascii"))
    except ValueError:
        return False
    return True


def _decoded_somehow(segment: str) -> bytes:
    """What a lenient parser would read. It is displayed and never trusted."""
    standard = "".join(char for char in segment.translate(_TO_STANDARD) if char in _BASE64)
    whole = standard[: len(standard) - (len(standard) % 4 == 1)]
    return base64.b64decode(whole + "=" * (-len(whole) % 4))


def _object_somehow(raw: bytes) -> dict[str, Any] | None:
    if raw.count(b"[") + raw.count(b"{") > _MOST_BRACKETS:
        return None  # it may be nested too deeply to be processed
    try:
        value = json.loads(raw.decode("utf-8", "replace"), parse_constant=str, parse_float=_finite_or_text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _finite_or_text(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _refusal(read: Callable[[bytes], object], segment: str) -> list[str]:
    """The reason that the verifier itself gives."""
    try:
        read(segment.encode("utf-8", "replace"))
    except InvalidToken as problem:
        return [f"verifiers refuse it: {problem.detail}"]
    return []


# -- the header --------------------------------------------------------------------------------------------------------


def _explain_header(found: Dissection, segment: str) -> None:
    found.header, problems = _read("header", segment)
    if found.header is not None:
        found.header_lines = [Line(name, _shown(value), _member(name, value)) for name, value in found.header.items()]
        problems += [
            *_problems_of_alg(found.header),
            *_problems_of_typ(found.header),
            *_problems_of_members(found.header),
        ]
    found.problems += problems or _refusal(headers.parse, segment)


def _member(name: str, value: Any) -> str:
    meaning = glossary.HEADER.get(name, glossary.UNKNOWN_MEMBER)
    algorithm = glossary.ALGORITHMS.get(value) if name == "alg" and isinstance(value, str) else None
    return meaning if algorithm is None else f"{meaning}: {algorithm}"


def _problems_of_alg(header: dict[str, Any]) -> Iterator[str]:
    alg = header.get("alg")
    if "alg" not in header:
        yield "the header names no algorithm (alg)"
    elif not isinstance(alg, str):
        yield "alg is not a string"
    elif alg.strip().lower() == "none":
        yield f"alg is {_shown(alg)}: the token is not signed, so anyone could have written it"
    elif alg not in glossary.ALGORITHMS:
        yield f"alg is {_shown(alg)}, which is not a known algorithm"
    elif alg.startswith("HS"):
        yield f"alg is {alg}: anyone who can verify it can also make one, so it must not leave its issuer"


def _problems_of_typ(header: dict[str, Any]) -> Iterator[str]:
    typ = header.get("typ")
    if "typ" not in header:
        yield f"the header has no type (typ): an access token has {ACCESS_TOKEN_TYPE} (RFC 9068)"
    elif not isinstance(typ, str):
        yield "typ is not a string"
    elif headers.media_type(typ) != headers.media_type(ACCESS_TOKEN_TYPE):
        yield f"typ is {_shown(typ)}, but an access token has {ACCESS_TOKEN_TYPE} (RFC 9068)"


def _problems_of_members(header: dict[str, Any]) -> Iterator[str]:
    if "kid" not in header:
        yield "the header has no key id (kid): only a verifier with a single key can tell which key to use"
    elif not isinstance(header["kid"], str):
        yield "kid is not a string"
    for name in header:
        if name in glossary.DANGEROUS:
            yield f"the header's {name} {glossary.DANGEROUS[name]}. Verifiers refuse it"


# -- the signature -----------------------------------------------------------------------------------------------------


def _explain_signature(found: Dissection, segment: str) -> None:
    if not segment:
        found.problems.append("there is no signature, so anyone could have written the token")
    elif "." not in segment:  # otherwise there are too many segments, which has been reported
        size = len(_decoded_somehow(segment))
        found.signature = f"{size} bytes, not checked"
        found.problems += [*_problems_of_base64url("signature", segment), *_problems_of_size(found.header or {}, size)]


def _problems_of_size(header: dict[str, Any], size: int) -> Iterator[str]:
    alg = header.get("alg")
    expected = glossary.SIGNATURE_SIZES.get(alg) if isinstance(alg, str) else None
    if expected is not None and size != expected:
        yield f"the signature has {size} bytes, but with {alg} it always has {expected}"


# -- the claims --------------------------------------------------------------------------------------------------------


def _explain_claims(found: Dissection, segment: str, now: int) -> None:
    found.claims, problems = _read("payload", segment)
    if found.claims is None:
        found.problems += problems
        return
    found.claim_lines = [Line(name, _shown(value), _claim(name, value, now)) for name, value in found.claims.items()]
    problems += _problems_of_claims(found.claims)
    found.problems += problems or _refusal(_decode_payload, segment)
    times = {name: found.claims[name] for name in glossary.TIMES if _is_time(found.claims.get(name))}
    found.problems += [*_problems_of_moment(times, now), *_problems_of_order(times)]


def _decode_payload(segment: bytes) -> AccessToken:
    return decode_access_token(base64url.decode(segment))


def _claim(name: str, value: Any, now: int) -> str:
    meaning = glossary.CLAIMS.get(name, glossary.UNKNOWN_CLAIM)
    if name not in glossary.TIMES or not _is_time(value):
        return meaning
    return f"{meaning}: {moment(value * MICROSECONDS)}, {distance(value - now)}"


def _problems_of_claims(claims: dict[str, Any]) -> Iterator[str]:
    if missing := [name for name in _REQUIRED if name not in claims]:
        yield f"claims of an access token are missing: {', '.join(missing)}"
    for name in _TEXTS:
        if name in claims and not (isinstance(claims[name], str) and claims[name]):
            yield f"{name} is empty or not a string: {_shown(claims[name])}"
    for name in glossary.TIMES:
        if name in claims and not _is_time(claims[name]):
            yield f"{name} is not a time in whole seconds since 1970: {_shown(claims[name])}"


def _problems_of_moment(times: dict[str, int], now: int) -> Iterator[str]:
    if times.get("exp", now + 1) <= now:
        yield f"it expired {distance(times['exp'] - now)}"
    if times.get("nbf", now) > now:
        yield f"it is not valid yet: it becomes valid {distance(times['nbf'] - now)}"
    if times.get("iat", now) > now:
        yield f"iat is in the future, {distance(times['iat'] - now)}: one of the clocks is wrong"


def _problems_of_order(times: dict[str, int]) -> Iterator[str]:
    if "iat" not in times:
        return
    lifetime = times.get("exp", times["iat"] + 1) - times["iat"]
    if lifetime <= 0:
        yield "it is never valid: exp is not after iat"
    if lifetime > MAX_LIFETIME:
        yield f"its lifetime is {_amount(lifetime)}: Ostiary accepts at most {_amount(MAX_LIFETIME)} for access tokens"
    if times.get("auth_time", times["iat"]) > times["iat"]:
        yield "it was issued before its sign-in (auth_time)"


def _is_time(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LAST_SECOND


def distance(seconds: int) -> str:
    """``in 14 minutes``, ``3 days ago``."""
    if seconds == 0:
        return "just now"
    return f"in {_amount(seconds)}" if seconds > 0 else f"{_amount(-seconds)} ago"


def _amount(seconds: int) -> str:
    unit, size = next(unit for unit in _UNITS if seconds >= unit[1])
    count = seconds // size
    return _counted(count, unit)


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
