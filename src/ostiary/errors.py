"""Every error that Ostiary raises, in one tree. Imports nothing.

::

    OstiaryError
    ├── ConfigurationError              at start-up only; one line for the operator, never over HTTP
    │   └── KeyRejected                 key material that must not be used
    ├── RequestError                    the caller's fault
    │   ├── InvalidRequest              400  cannot be understood
    │   │   ├── MalformedJson           400
    │   │   ├── MalformedCredential     400
    │   │   ├── MultipleCredentials     400
    │   │   ├── MissingToken            400
    │   │   ├── InvalidQuery            400  not the parameters this route takes
    │   │   └── InvalidTarget           400  tokens for this resource are not to be had
    │   ├── Unauthenticated             401
    │   │   ├── MissingCredential       401  no credential came: a bare challenge
    │   │   ├── InvalidToken            401  everything that can be wrong with a token
    │   │   │   ├── MalformedToken           not a compact JWS of ours, by its form
    │   │   │   ├── BadSignature             no key of the issuer signed it
    │   │   │   ├── ClaimRejected            signed, but a claim or its type is wrong
    │   │   │   ├── TokenExpired
    │   │   │   ├── TokenRevoked
    │   │   │   └── RefreshTokenReused       a spent refresh token came again: its family is ended
    │   │   ├── InvalidCredentials      401
    │   │   ├── InvalidClient           401  no client, or not its secret
    │   │   ├── InvalidCode             401
    │   │   └── InsufficientUserAuthentication  401  a stronger or fresher sign-in is needed
    │   ├── Forbidden                   403
    │   │   ├── InsufficientScope       403
    │   │   └── CrossSiteRequest        403
    │   ├── NotFound                    404
    │   ├── MethodNotAllowed            405
    │   ├── Conflict                    409  the state it wants to leave is not the state there is
    │   │   └── TooManySessions         409
    │   ├── BodyTooLarge                413
    │   ├── UnsupportedMediaType        415
    │   ├── InvalidBody                 422  JSON, but not the fields this route takes
    │   │   ├── PasswordRejected        422
    │   │   └── InvalidEmail            422
    │   └── RateLimited                 429
    ├── Unavailable                     503  Ostiary's fault, or a part of it is away
    │   ├── Busy                        503  the password hashing pool is full
    │   ├── StoreUnavailable            503  nothing was written
    │   │   └── OutcomeUnknown          503  the commit was on its way: it may have been written
    │   ├── RevocationsUnknown          503  what is revoked cannot be known, so nothing is let in
    │   └── NotReady                    503  a part that every request needs is not there
    ├── ConstraintViolated              500  a row that the database refuses; rolled back
    └── StatementRefused                500  a statement that the engine cannot run: a mistake of ours
        └── NoSuchTable                 500  most likely a migration has not run

Each class has a stable ``code`` (what programs compare), a public ``title`` and the HTTP ``status``: this file is
the one mapping to HTTP. The message given to the constructor is the private ``detail``: for logs, never for a caller.
What a caller may read beyond the code comes from ``public()``.
"""

from typing import Any, ClassVar


class OstiaryError(Exception):
    """The root. Catch it to catch everything that Ostiary raises on purpose."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong."
    status: ClassVar[int] = 500

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail: str = detail

    def public(self) -> dict[str, Any]:
        """What the caller may read beside ``code``, ``title`` and ``status``."""
        return {}


class ConfigurationError(OstiaryError):
    """A setting, secret, file or database with which Ostiary refuses to start. Its message is one clear line."""

    code = "configuration"
    title = "Ostiary cannot start with this configuration."


class KeyRejected(ConfigurationError):
    """Key material that must not be used: too short, of the wrong kind, inconsistent."""

    code = "key_rejected"
    title = "The key is not usable."


class RequestError(OstiaryError):
    """The caller's fault: the same request again gets the same answer."""

    code = "invalid_request"
    title = "The request cannot be served."
    status = 400


class InvalidRequest(RequestError):
    title = "The request cannot be understood."


class MalformedJson(InvalidRequest):
    code = "malformed_json"
    title = "The body is not valid JSON."


class MalformedCredential(InvalidRequest):
    """The Authorization header is for us, but holds no token (RFC 6750 §3.1, ``invalid_request``)."""


class MultipleCredentials(InvalidRequest):
    """Two credentials for one role: refused, because guessing which one counts is an attack (RFC 6750 §2)."""

    code = "multiple_credentials"
    title = "The request carries more than one credential."


class MissingToken(InvalidRequest):
    code = "missing_token"
    title = "The request carries no refresh token."


class InvalidQuery(InvalidRequest):
    """``reason`` names the parameter and is safe to show: it never quotes a value."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason: str = reason

    def public(self) -> dict[str, Any]:
        return {"detail": self.reason} if self.reason else {}


class InvalidTarget(InvalidRequest):
    """No client stands for the resource that a token was asked for (RFC 8707 §2)."""

    code = "invalid_target"
    title = "There are no tokens for this resource."


class Unauthenticated(RequestError):
    code = "unauthenticated"
    title = "Authentication is needed."
    status = 401


class MissingCredential(Unauthenticated):
    """No credential came. The challenge then has no error code (RFC 6750 §3.1)."""

    code = "missing_credential"


class InvalidToken(Unauthenticated):
    """The whole family of token refusals. A caller sees this one code; the subclass and detail are for logs."""

    code = "invalid_token"
    title = "The token is not valid."


class MalformedToken(InvalidToken): ...


class BadSignature(InvalidToken): ...


class ClaimRejected(InvalidToken): ...


class TokenExpired(InvalidToken): ...


class TokenRevoked(InvalidToken): ...


class RefreshTokenReused(InvalidToken): ...


class InvalidCredentials(Unauthenticated):
    code = "invalid_credentials"
    title = "The e-mail address or the password is wrong."


class InvalidClient(Unauthenticated):
    """No client authentication came, or no client has this id and secret (RFC 6749 §5.2): never said which."""

    code = "invalid_client"
    title = "The client could not be authenticated."


class InvalidCode(Unauthenticated):
    code = "invalid_code"
    title = "The code is wrong, was used before, or the sign-in attempt has ended."


class InsufficientUserAuthentication(Unauthenticated):
    """A stronger or fresher sign-in is needed (RFC 9470 §3)."""

    code = "insufficient_user_authentication"
    title = "A stronger or more recent sign-in is needed."

    def __init__(self, detail: str = "", *, max_age: int | None = None, acr_values: str | None = None) -> None:
        super().__init__(detail)
        self.max_age: int | None = max_age
        self.acr_values: str | None = acr_values


class Forbidden(RequestError):
    code = "forbidden"
    title = "You may not do this."
    status = 403


class InsufficientScope(Forbidden):
    code = "insufficient_scope"
    title = "The token's scope does not reach this far."

    def __init__(self, detail: str = "", *, scope: str | None = None) -> None:
        super().__init__(detail)
        self.scope = scope


class CrossSiteRequest(Forbidden):
    code = "cross_site_request"
    title = "A request with cookies must come from this site or a trusted origin."


class NotFound(RequestError):
    code = "not_found"
    title = "There is nothing here."
    status = 404


class MethodNotAllowed(RequestError):
    code = "method_not_allowed"
    title = "This method is not offered here."
    status = 405


class Conflict(RequestError):
    code = "conflict"
    title = "The current state does not allow this."
    status = 409


class TooManySessions(Conflict):
    code = "too_many_sessions"
    title = "There are as many sessions as an account may have. End one to sign in."


class BodyTooLarge(RequestError):
    code = "body_too_large"
    title = "The body is larger than this route accepts."
    status = 413


class UnsupportedMediaType(RequestError):
    code = "unsupported_media_type"
    title = "This route does not take a body of that media type."
    status = 415


class InvalidBody(RequestError):
    """JSON, but not what this route takes. ``reason`` names the field and is safe to show: it never quotes a value."""

    code = "invalid_body"
    title = "The body does not have the fields that this route takes."
    status = 422

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason: str = reason

    def public(self) -> dict[str, Any]:
        return {"detail": self.reason} if self.reason else {}


class PasswordRejected(InvalidBody):
    """The password breaks the policy; ``reasons`` says in which ways, for a person to read."""

    code = "password_rejected"
    title = "The password is too easy to guess, or not of an accepted length."

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(" ".join(reasons))
        self.reasons: tuple[str, ...] = reasons

    def public(self) -> dict[str, Any]:
        return {"reasons": list(self.reasons), **super().public()}


class InvalidEmail(InvalidBody):
    code = "invalid_email"
    title = "The e-mail address is not valid."


class RateLimited(RequestError):
    """Too many attempts. ``retry_after`` is in whole seconds, at least 1 (RFC 9110 §10.2.3)."""

    code = "rate_limited"
    title = "Too many attempts. Try again later."
    status = 429

    def __init__(self, detail: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after: int = max(1, retry_after)


class Unavailable(OstiaryError):
    """A part is away or overloaded. Authentication is closed meanwhile; ``retry_after`` is in whole seconds."""

    code = "unavailable"
    title = "The service cannot answer at the moment. Try again."
    status = 503

    def __init__(self, detail: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after: int = max(1, retry_after)


class Busy(Unavailable):
    code = "busy"
    title = "The service is busy. Try again in a moment."


class StoreUnavailable(Unavailable):
    """The database cannot be reached or refuses to write. Nothing of this request was written."""


class OutcomeUnknown(StoreUnavailable):
    """The connection or disk failed while the commit was on its way: it may or may not have been written."""


class RevocationsUnknown(Unavailable):
    """The change feed is not fresh, so a revoked token could not be told from a good one."""


class NotReady(Unavailable):
    """A part that every request needs is not there: ``database``, ``clock`` or ``revocations``."""

    code = "not_ready"
    title = "The service is not ready."

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part: str = part

    def public(self) -> dict[str, Any]:
        return {"part": self.part}


class ConstraintViolated(OstiaryError):
    """A row that a unique, foreign key, check or not-null constraint refuses. Where a race may cause it, write
    ``on conflict`` instead: this ends the transaction, and is to be caught outside of it."""


class StatementRefused(OstiaryError):
    """The engine cannot run the statement as it is written: a mistake in a slice."""


class NoSuchTable(StatementRefused):
    """The statement names a table that is not there: most likely a migration has not run."""
