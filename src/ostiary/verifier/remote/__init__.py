"""Keys and revocations of issuers elsewhere: found, fetched and kept. The only I/O in `ostiary.verifier`, and only for
those who ask.

Everything that comes over the network is hostile until a check has passed: URL, address, certificate, size, time, form
and issuer. This folder knows of a token no more than the name of its key and its place in a list.
"""

from ostiary.verifier.remote.client_credentials import ClientCredentials
from ostiary.verifier.remote.feed import RevocationFeed
from ostiary.verifier.remote.keys import RemoteKeys
from ostiary.verifier.remote.status_lists import StatusLists
from ostiary.verifier.remote.url import well_known_url
from ostiary.verifier.remote.verifier import RemoteVerifier

__all__ = [
    "ClientCredentials",
    "RemoteKeys",
    "RemoteVerifier",
    "RevocationFeed",
    "StatusLists",
    "well_known_url",
]
