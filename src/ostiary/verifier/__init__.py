"""Who is calling: access tokens verified, credentials read from requests, refusals told in HTTP's words.

Needs the base dependencies only, so that any service in any framework can use it, and does no I/O but to fetch keys and
revocations, in ``remote``. It knows what a token must say and what has been revoked; it must never know accounts,
passwords or a database.
"""

from ostiary.verifier.access_token import ACCESS_TOKEN_TYPE, AccessToken, Confirmation, encode_access_token
from ostiary.verifier.authenticator import Authenticator, TokenAuthenticator, TokenVerifier
from ostiary.verifier.challenge import Refusal, challenge, problem, refusal
from ostiary.verifier.credential import (
    ACCESS_COOKIE,
    REFRESH_COOKIE,
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
    "LEEWAY",
    "MAX_LEEWAY",
    "REFRESH_COOKIE",
    "SAFE_METHODS",
    "AccessToken",
    "Authenticator",
    "Claims",
    "ClientCredentials",
    "Confirmation",
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
    "encode_access_token",
    "problem",
    "read_access_token",
    "read_bearer",
    "read_cookie",
    "refusal",
    "well_known_url",
]
