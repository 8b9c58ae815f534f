"""All errors that Ostiary raises, in one tree. This module does not import Ostiary's other modules.

::

    OstiaryError
    ├── ConfigurationError              raised at start-up only; one line for the operator, never sent over HTTP
    │   └── KeyRejected                 key material that must not be used
    ├── RequestError                    the caller's fault
    │   ├── InvalidRequest              400  the request cannot be understood
    │   │   ├── MalformedJson           400
    │   │   ├── MalformedCredential     400
    │   │   ├── MultipleCredentials     400
    │   │   ├── MissingToken            400
    │   │   ├── InvalidQuery            400  not the query parameters that this route accepts
    │   │   └── InvalidTarget           400  no tokens can be issued for this resource
    │   ├── Unauthenticated             401
    │   │   ├── MissingCredential       401  the request has no credential; the challenge has no error code
    │   │   ├── InvalidToken            401  anything that can be wrong with a token
    │   │   │   ├── MalformedToken           not in the form of our compact JWS tokens
    │   │   │   ├── BadSignature             not signed with a key of the issuer
    │   │   │   ├── ClaimRejected            signed, but a claim has the wrong value or type
    │   │   │   ├── TokenExpired
    │   │   │   ├── TokenRevoked
    │   │   │   └── RefreshTokenReused       a refresh token was used twice; its family is revoked
    │   │   ├── InvalidCredentials      401
    │   │   ├── InvalidClient           401  unknown client or wrong secret
    │   │   ├── InvalidCode             401
    │   │   └── InsufficientUserAuthentication  401  a stronger or fresher sign-in is needed
    │   ├── Forbidden                   403
    │   │   ├── InsufficientScope       403
    │   │   └── CrossSiteRequest        403
    │   │       └── CrossSiteOrigin     403  a trusted origin, but browsers drop its cookies
    │   ├── NotFound                    404
    │   ├── MethodNotAllowed            405
    │   ├── Conflict                    409  the current state does not allow the change
    │   │   └── TooManySessions         409
    │   ├── BodyTooLarge                413
    │   ├── Explained                   400  the caller may read the reason
    │   │   ├── UnsupportedMediaType    415
    │   │   └── InvalidBody             422  JSON, but not the fields that this route accepts
    │   │       ├── PasswordRejected    422
    │   │       └── InvalidEmail        422
    │   └── RateLimited                 429
    ├── Unavailable                     503  Ostiary's fault, or a part of it is unavailable
    │   ├── Busy                        503  the password hashing pool is full
    │   ├── StoreUnavailable            503  nothing was written
    │   │   └── OutcomeUnknown          503  the connection failed during the commit; it may have been written
    │   ├── RevocationsUnknown          503  revocations are unknown, so every token is refused
    │   └── NotReady                    503  a part that every request needs is unavailable
    ├── ConstraintViolated              500  the database refused a row; the transaction is rolled back
    └── StatementRefused                500  the database cannot run the statement: a bug in Ostiary
        └── NoSuchTable                 500  a table is missing; most likely a migration has not run

Each class has a stable ``code`` for programs to compare, a public ``title`` and an HTTP ``status``. This file is the
only mapping from errors to HTTP. The message passed to the constructor is the private ``detail``. It is meant for logs
and is never sent to a caller. `OstiaryError.public` returns what a caller may read in addition to the code.
"""

from typing import Any, ClassVar


class OstiaryError(Exception):
    """The base class. Catch it to catch every error that Ostiary raises deliberately."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong."
    status: ClassVar[int] = 500
    repeats_input: ClassVar[bool] = False
    """Whether the detail may repeat what the caller sent. Logs then leave it out."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail: str = detail

    @property
    def kind(self) -> str:
        """The ``reason`` in logs: the name of the class, such as ``token_expired``. It is finer than ``code``."""
        return "".join(f"_{char.lower()}" if char.isupper() else char for char in type(self).__name__).lstrip("_")

    def logged(self) -> dict[str, Any]:
        """The fields for a log line, as ASCII. ``detail`` is empty if it may repeat what the caller sent."""
        detail = "" if self.repeats_input else ascii(self.detail)[1:-1]
        return {"status": self.status, "code": self.code, "reason": self.kind, "detail": detail}

    def public(self) -> dict[str, Any]:
        """The members that the caller may read in addition to ``code``, ``title`` and ``status``."""
        return {}


class ConfigurationError(OstiaryError):
    """Ostiary cannot start with this setting, secret, file or database. The message is one line."""

    code = "configuration"
    title = "Ostiary cannot start with this configuration."


class KeyRejected(ConfigurationError):
    """Key material that must not be used because it is too short, of the wrong kind or inconsistent."""

    code = "key_rejected"
    title = "The key cannot be used."


class RequestError(OstiaryError):
    """The caller's fault. Sending the same request again gets the same answer."""

    code = "invalid_request"
    title = "The request cannot be processed."
    status = 400


class Explained(RequestError):
    """``reason`` says what is wrong. It is public: it never quotes a value."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason: str = reason

    def public(self) -> dict[str, Any]:
        return {"detail": self.reason} if self.reason else {}


class InvalidRequest(RequestError):
    title = "The request cannot be understood."


class MalformedJson(InvalidRequest):
    code = "malformed_json"
    title = "The body is not valid JSON."


class MalformedCredential(InvalidRequest):
    """The Authorization header uses our scheme but does not hold a token (RFC 6750 §3.1, ``invalid_request``)."""


class MultipleCredentials(InvalidRequest):
    """The request has two credentials for one purpose (RFC 6750 §2). An attacker
    could exploit any guess about which one counts."""

    code = "multiple_credentials"
    title = "The request carries more than one credential."


class MissingToken(InvalidRequest):
    code = "missing_token"
    title = "The request carries no refresh token."


class InvalidQuery(InvalidRequest, Explained):
    """The query parameters are not valid. ``reason`` names the parameter."""

    repeats_input = True  # the name of an unknown parameter


class InvalidTarget(InvalidRequest):
    """The token request names a resource that no client represents (RFC 8707 §2)."""

    code = "invalid_target"
    title = "Tokens cannot be issued for this resource."


class Unauthenticated(RequestError):
    code = "unauthenticated"
    title = "Authentication is required."
    status = 401


class MissingCredential(Unauthenticated):
    """The request has no credential. The challenge then has no error code (RFC 6750 §3.1)."""

    code = "missing_credential"


class InvalidToken(Unauthenticated):
    """The base class of all token errors. A caller sees only this code. The subclass and detail are for logs."""

    code = "invalid_token"
    title = "The token is not valid."


class MalformedToken(InvalidToken): ...


class BadSignature(InvalidToken): ...


class ClaimRejected(InvalidToken):
    """The detail begins with the claim: ``aud: a token for another audience``."""

    @property
    def kind(self) -> str:
        """The two claims that a misconfigured service rejects have a reason of their own."""
        claim = self.detail.partition(":")[0]
        return {"aud": "wrong_audience", "iss": "wrong_issuer"}.get(claim, super().kind)


class TokenExpired(InvalidToken): ...


class TokenRevoked(InvalidToken): ...


class RefreshTokenReused(InvalidToken): ...


class InvalidCredentials(Unauthenticated):
    code = "invalid_credentials"
    title = "The e-mail address or the password is wrong."


class InvalidClient(Unauthenticated):
    """Client authentication is missing, or no client has this id and secret (RFC 6749 §5.2).

    The answer never says which of the two it is.
    """

    code = "invalid_client"
    title = "The client could not be authenticated."


class InvalidCode(Unauthenticated):
    code = "invalid_code"
    title = "The code is wrong, was used before, or the sign-in attempt has ended."


class InsufficientUserAuthentication(Unauthenticated):
    """A stronger or more recent sign-in is required (RFC 9470 §3)."""

    code = "insufficient_user_authentication"
    title = "A stronger or more recent sign-in is required."

    def __init__(self, detail: str = "", *, max_age: int | None = None, acr_values: str | None = None) -> None:
        super().__init__(detail)
        self.max_age: int | None = max_age
        self.acr_values: str | None = acr_values


class Forbidden(RequestError):
    code = "forbidden"
    title = "You do not have permission to do this."
    status = 403


class InsufficientScope(Forbidden):
    code = "insufficient_scope"
    title = "The token does not have the required scope."

    def __init__(self, detail: str = "", *, scope: str | None = None) -> None:
        super().__init__(detail)
        self.scope = scope


class CrossSiteRequest(Forbidden):
    code = "cross_site_request"
    title = "A request with cookies must come from this site or a trusted origin."


class CrossSiteOrigin(CrossSiteRequest):
    title = "Browsers drop the cookies of an origin on another site: use the transport `token` there."


class NotFound(RequestError):
    code = "not_found"
    title = "Not found."
    status = 404
    repeats_input = True  # an id from the path, or an e-mail address


class MethodNotAllowed(RequestError):
    code = "method_not_allowed"
    title = "This method is not allowed here."
    status = 405


class Conflict(RequestError):
    code = "conflict"
    title = "The current state does not allow this."
    status = 409
    repeats_input = True  # an e-mail address, or the name of a client


class TooManySessions(Conflict):
    code = "too_many_sessions"
    title = "The account has reached its session limit. End a session to sign in."


class BodyTooLarge(RequestError):
    code = "body_too_large"
    title = "The body is larger than this route accepts."
    status = 413


class UnsupportedMediaType(Explained):
    """The body has another media type than the route accepts, or none. ``reason`` names those that it accepts."""

    code = "unsupported_media_type"
    title = "This route does not accept a body of this media type."
    status = 415


class InvalidBody(Explained):
    """The body is JSON, but not what this route accepts. ``reason`` names the field."""

    code = "invalid_body"
    title = "The body does not match what this route expects."
    status = 422
    repeats_input = True  # the name of an unknown field


class PasswordRejected(InvalidBody):
    """The password breaks the policy. ``reasons`` says how, in sentences for the user."""

    code = "password_rejected"
    title = "The password is too easy to guess, too short or too long."

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(" ".join(reasons))
        self.reasons: tuple[str, ...] = reasons

    def public(self) -> dict[str, Any]:
        return {"reasons": list(self.reasons), **super().public()}


class InvalidEmail(InvalidBody):
    code = "invalid_email"
    title = "The e-mail address is not valid."


class RateLimited(RequestError):
    """Too many attempts. ``retry_after`` is a whole number of seconds, at least 1 (RFC 9110 §10.2.3)."""

    code = "rate_limited"
    title = "Too many attempts. Try again later."
    status = 429

    def __init__(self, detail: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after: int = max(1, retry_after)


class Unavailable(OstiaryError):
    """A part is unavailable or overloaded. Until it recovers, authentication fails closed.

    ``retry_after`` is a whole number of seconds.
    """

    code = "unavailable"
    title = "The service is temporarily unavailable. Try again."
    status = 503

    def __init__(self, detail: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after: int = max(1, retry_after)


class Busy(Unavailable):
    code = "busy"
    title = "The service is busy. Try again in a moment."


class StoreUnavailable(Unavailable):
    """The database cannot be reached or refuses to write. The request wrote nothing."""


class OutcomeUnknown(StoreUnavailable):
    """The connection or disk failed during the commit. The data may or may not have been written."""


class RevocationsUnknown(Unavailable):
    """Revocations are not up to date, so a revoked token cannot be told from a valid one."""


class NotReady(Unavailable):
    """A part that every request needs is unavailable: ``database``, ``issuer``, ``clock`` or ``revocations``."""

    code = "not_ready"
    title = "The service is not ready."

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part: str = part

    def public(self) -> dict[str, Any]:
        return {"part": self.part}


class ConstraintViolated(OstiaryError):
    """A unique, foreign key, check or not-null constraint refused a row.

    This error ends the transaction, so catch it outside. If a race can cause it, use ``on conflict`` instead.
    """


class StatementRefused(OstiaryError):
    """The database cannot run the statement as it is written: a bug in a slice."""


class NoSuchTable(StatementRefused):
    """The statement names a table that does not exist. Most likely a migration has not run."""
