"""`ostiary token …`: explains and verifies tokens."""

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

_MOST_READ: Final = 1024 * 1024  # bytes; a token has a few thousand
_VALUE_COLUMN: Final = 36  # characters; longer values push their meaning to the right
_ANYWHERE: Final = ("0.0.0.0/0", "::/0")  # the URL comes from the operator, not from a stranger

Token = Annotated[str, Parameter(allow_leading_hyphen=True)]
Json = Annotated[bool, Parameter(negative=())]


def inspect(token: Token, /, *, json: Json = False) -> None:
    """Explain a token: its header, its claims and every problem with it. Does not check the signature.

    Args:
        token: The token. Use "-" to read it from stdin: this keeps it out of the shell history and the process list.
        json: Print JSON for programs.
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
    """Verify an access token: its signature, issuer, audience and times.

    Exits with 0 if the token is valid and with 1 if it is refused. Does not check whether the token was revoked: only
    its issuer can tell.

    Args:
        token: The token. Use "-" to read it from stdin: this keeps it out of the shell history and the process list.
        jwks: The issuer's public keys: a URL, or a file with the output of `ostiary keys jwks`.
        issuer: The expected issuer. It must match exactly.
        audience: The expected audience. It must match exactly.
        json: Print JSON for programs.
    """
    text = _token(token).strip()
    verifier = _verifier(jwks, issuer=issuer, audience=audience)
    try:
        claims = verifier.verify(text)
    except InvalidToken as problem:
        _tell({"good": False, "reason": problem.detail}, f"refused: {problem.detail}", json=json)
        return REFUSED
    # this is the verified text; reading it again also gives the issuer's custom claims
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
        print_lines(["Problems:", *(f"  - {problem}" for problem in found.problems)])
    else:
        print_lines(["No problems found. Run `ostiary token verify` to check whether the token is genuine."])


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
    # a file written by a person or a shell ends with a line break
    return Verifier(keys=KeySet.from_json(document.strip()), issuer=issuer, audience=audience)


def _goodness(claims: AccessToken) -> str:
    remaining = distance(claims.exp - _now())
    return f"good: {claims.sub}, expires {moment(claims.exp * MICROSECONDS)}, {remaining}"


def _tell(facts: Mapping[str, Any], line: str, *, json: bool) -> None:
    if json:
        print_json(facts)
    else:
        print_lines([line])


COMMANDS: Final[Mapping[str, Callable[..., Any]]] = {"inspect": inspect, "verify": verify}
