"""Find, fetch and cache the keys and revocations of remote issuers. This is the only I/O in `ostiary.verifier`.

Everything from the network is treated as hostile until it has passed the checks: URL, address, certificate, size, time,
form and issuer. Of a token, this folder reads only the name of its key and its place in a status list.
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
