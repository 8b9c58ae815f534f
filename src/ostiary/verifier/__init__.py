"""Authenticate callers: read credentials from requests, verify access tokens, and write refusals as HTTP answers.

Needs only the base dependencies, so that any service can use it with any framework. Its only I/O is in ``remote``,
which fetches keys and revocations. It knows what a token must contain and what has been revoked. It must never depend
on accounts, passwords or a database.
"""

from ostiary.verifier.access_token import ACCESS_TOKEN_TYPE, AccessToken, Confirmation, encode_access_token
from ostiary.verifier.authenticator import WEBSOCKET, Authenticator, TokenAuthenticator, TokenVerifier
from ostiary.verifier.challenge import Refusal, challenge, problem, refusal
from ostiary.verifier.cookies import (
    ACCESS_COOKIE,
    HOST_COOKIES,
    LOOPBACK_COOKIES,
    LOOPBACK_HOSTS,
    REFRESH_COOKIE,
    CookieNames,
    cookie_names,
)
from ostiary.verifier.credential import (
    Credential,
    Headers,
    read_access_token,
    read_bearer,
    read_cookie,
)
from ostiary.verifier.jwt import Claims, Expectation, JwtVerifier
from ostiary.verifier.principal import ACCOUNT_PREFIX, CLIENT_PREFIX, Principal
from ostiary.verifier.remote import (
    ClientCredentials,
    RemoteKeys,
    RemoteVerifier,
    RevocationFeed,
    StatusLists,
    well_known_url,
)
from ostiary.verifier.requirement import AAL1, AAL2, Requirement, RoleMap
from ostiary.verifier.revocations import KnownRevocations, Revocations, WhenStale
from ostiary.verifier.same_origin import SAFE_METHODS, check_same_origin, checked_origins
from ostiary.verifier.verifier import LEEWAY, MAX_LEEWAY, Verifier

__all__ = [
    "AAL1",
    "AAL2",
    "ACCESS_COOKIE",
    "ACCESS_TOKEN_TYPE",
    "ACCOUNT_PREFIX",
    "CLIENT_PREFIX",
    "HOST_COOKIES",
    "LEEWAY",
    "LOOPBACK_COOKIES",
    "LOOPBACK_HOSTS",
    "MAX_LEEWAY",
    "REFRESH_COOKIE",
    "SAFE_METHODS",
    "WEBSOCKET",
    "AccessToken",
    "Authenticator",
    "Claims",
    "ClientCredentials",
    "Confirmation",
    "CookieNames",
    "Credential",
    "Expectation",
    "Headers",
    "JwtVerifier",
    "KnownRevocations",
    "Principal",
    "Refusal",
    "RemoteKeys",
    "RemoteVerifier",
    "Requirement",
    "RevocationFeed",
    "Revocations",
    "RoleMap",
    "StatusLists",
    "TokenAuthenticator",
    "TokenVerifier",
    "Verifier",
    "WhenStale",
    "challenge",
    "check_same_origin",
    "checked_origins",
    "cookie_names",
    "encode_access_token",
    "problem",
    "read_access_token",
    "read_bearer",
    "read_cookie",
    "refusal",
    "well_known_url",
]
