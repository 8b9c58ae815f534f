"""`ostiary token …`: what a token says, and whether it is valid."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from ostiary.cli.dissection import Dissection, Line, dissect, distance
from ostiary.cli.output import moment, print_json, print_lines
from ostiary.cli.refusal import REFUSED
from ostiary.core.clock import MICROSECONDS, SystemClock
from ostiary.errors import ConfigurationError, InvalidToken
from ostiary.jose import KeySet
from ostiary.jose.key_set import MAX_DOCUMENT
from ostiary.verifier import AccessToken, Verifier
from ostiary.verifier.remote import RemoteVerifier

_MOST_READ: Final = 1024 * 1024  # bytes; a token has some thousand
_VALUE_COLUMN: Final = 36  # characters; longer values push their meaning to the right
_ANYWHERE: Final = ("0.0.0.0/0", "::/0")  # the URL comes from the operator, not from a stranger

Token = Annotated[str, Parameter(allow_leading_hyphen=True)]
Json = Annotated[bool, Parameter(negative=())]


def inspect(token: Token, /, *, json: Json = False) -> None:
    """Explain a token: each member of its header, each claim, and all that is wrong with it. Checks no signature.

    Args:
        token: The token, or "-" to read it from stdin, which keeps it out of the shell's history and the process list.
        json: Print JSON, for programs.
    """
    found = dissect(_token(token), now=_now())
    if json:
        print_json(
            {
                "header": found.header,
                "claims": found.claims,
                "signature": found.signature,
                "explanations": {line.name: line.meaning for line in (*found.header_lines, *found.claim_lines)},
                "problems": found.problems,
            }
        )
    else:
        _print(found)


def verify(token: Token, /, *, jwks: str, issuer: str, audience: str, json: Json = False) -> int:
    """Say whether an access token is good: its signature, issuer, audience and times. Exits with 0 or 1.

    Whether it was revoked is known only where it was issued.

    Args:
        token: The token, or "-" to read it from stdin, which keeps it out of the shell's history and the process list.
        jwks: The issuer's public keys: a URL, or a file as `ostiary keys jwks` prints it.
        issuer: Who must have issued it, to the letter.
        audience: Whom it must be for, to the letter.
        json: Print JSON, for programs.
    """
    text = _token(token).strip()
    verifier = _verifier(jwks, issuer=issuer, audience=audience)
    try:
        claims = verifier.verify(text)
    except InvalidToken as problem:
        _tell({"good": False, "reason": problem.detail}, f"refused: {problem.detail}", json=json)
        return REFUSED
    # the text is what was verified, so reading it once more says the same, with the claims of the issuer's own
    _tell({"good": True, "claims": dissect(text, now=_now()).claims}, _goodness(claims), json=json)
    return 0


def _token(given: str) -> str:
    if given != "-":
        return given
    return sys.stdin.buffer.read(_MOST_READ).decode("utf-8", "replace")


def _now() -> int:
    return SystemClock().now() // MICROSECONDS


def _print(found: Dissection) -> None:
    for title, lines in (("header", found.header_lines), ("claims", found.claim_lines)):
        if lines:
            print_lines([title, *_aligned(lines)])
    print_lines(["signature", f"  {found.signature}", ""])
    if found.problems:
        print_lines(["What is wrong:", *(f"  - {problem}" for problem in found.problems)])
    else:
        print_lines(["Nothing is wrong with what it says. Whether it is genuine, `ostiary token verify` tells."])


def _aligned(lines: Sequence[Line]) -> list[str]:
    names = max(len(line.name) for line in lines)
    values = min(_VALUE_COLUMN, max(len(line.value) for line in lines))
    return [f"  {line.name:<{names}}  {line.value:<{values}}  {line.meaning}" for line in lines]


def _verifier(jwks: str, *, issuer: str, audience: str) -> Verifier | RemoteVerifier:
    if jwks.startswith(("https://", "http://")):
        return Verifier.remote(issuer, audience=audience, jwks_uri=jwks, networks=_ANYWHERE, development=True)
    try:
        with Path(jwks).open("rb") as file:
            document = file.read(MAX_DOCUMENT + 1)
    except (OSError, ValueError) as problem:
        raise ConfigurationError(f"{jwks}: {getattr(problem, 'strerror', None) or 'cannot be read'}") from None
    # a file that a person or a shell has written ends with a line break
    return Verifier(keys=KeySet.from_json(document.strip()), issuer=issuer, audience=audience)


def _goodness(claims: AccessToken) -> str:
    remaining = distance(claims.exp - _now())
    return f"good: {claims.sub}, ends {moment(claims.exp * MICROSECONDS)}, {remaining}"


def _tell(facts: Mapping[str, Any], line: str, *, json: bool) -> None:
    if json:
        print_json(facts)
    else:
        print_lines([line])


COMMANDS: Final[Mapping[str, Callable[..., Any]]] = {"inspect": inspect, "verify": verify}
