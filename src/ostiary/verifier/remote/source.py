"""Where an issuer publishes what it publishes, and what its keys are at this moment."""

import os
import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from ostiary.errors import ConfigurationError, KeyRejected
from ostiary.jose import HmacKey, KeySet, strict_json
from ostiary.verifier.remote.address import AddressRule
from ostiary.verifier.remote.fetch import Document, Fetcher, FetchFailed, NotThere, Resolve, resolve_by_system
from ostiary.verifier.remote.url import Url, openid_configuration_url, read_issuer, read_url, well_known_url

DEADLINE: Final = 5.0  # seconds for everything: names, connections, metadata, keys


class PublishedKeys(NamedTuple):
    keys: KeySet
    max_age: int | None
    """Seconds for which the issuer says that they may be kept; None where it says nothing."""


class IssuerSource:
    """Loads an issuer's JWK Set: from ``jwks_uri`` if given, else from where the issuer's metadata says (RFC 8414). And
    what else is at the issuer's own origin.

    The metadata must be about this issuer to the letter (§3.3), and may name only the issuer's own origin. The
    parameters are those of `ostiary.verifier.RemoteKeys`, and raise as there.
    """

    def __init__(
        self,
        issuer: str,
        *,
        jwks_uri: str | None = None,
        openid: bool = False,
        networks: Iterable[str] = (),
        ca_file: str | os.PathLike[str] | None = None,
        development: bool = False,
        resolve: Resolve = resolve_by_system,
    ) -> None:
        self._issuer = issuer
        self._url = read_issuer(issuer, development=development)
        self._jwks_url = None if jwks_uri is None else read_url(jwks_uri, development=development)
        self._openid = openid
        self._development = development
        rule = AddressRule(loopback=self._url.is_loopback, networks=networks)
        self._fetcher = Fetcher(rule, ca_file=ca_file, resolve=resolve)
        self.get: Final = self._fetcher.get

    def load(self) -> PublishedKeys:
        """The keys, within `DEADLINE`. Raises FetchFailed."""
        until = time.monotonic() + DEADLINE
        url = self._jwks_url or self.endpoint("jwks_uri", until)
        document = self.get(url, until=until)
        return PublishedKeys(_key_set(document), document.max_age)

    def own_url(self, text: str) -> Url:
        """The URL, if it is at the issuer's own origin. Raises ConfigurationError for any other, as `read_url`."""
        url = read_url(text, development=self._development)
        if url.origin != self._url.origin:  # else a token could make us call anybody
            raise ConfigurationError("not at the issuer's own origin")
        return url

    def endpoint(self, name: str, until: float) -> Url:
        """What the issuer's metadata calls ``name``. Raises FetchFailed."""
        metadata = _json_object(self._get_metadata(until))
        if metadata.get("issuer") != self._issuer:
            raise FetchFailed("the metadata is about another issuer")
        try:
            url = read_url(metadata.get(name, ""), development=self._development)
        except ConfigurationError:
            raise FetchFailed(f"the metadata names no usable {name}") from None
        if url.origin != self._url.origin:
            hint = ": to permit it, pass jwks_uri=…" if name == "jwks_uri" else ""
            raise FetchFailed(f"the metadata names a {name} at another origin{hint}")
        return url

    def _get_metadata(self, until: float) -> Document:
        try:
            return self._get(well_known_url(self._issuer, "oauth-authorization-server"), until)
        except NotThere:
            if not self._openid:
                raise
        return self._get(openid_configuration_url(self._issuer), until)

    def _get(self, text: str, until: float) -> Document:
        return self.get(read_url(text, development=self._development), until=until)


def _key_set(document: Document) -> KeySet:
    """What RFC 7517 §5 lets us use. A set that holds secrets is refused: here everybody could read them."""
    try:
        keys = KeySet.from_jwks(_json_object(document))
    except KeyRejected as problem:
        raise FetchFailed(problem.detail) from None
    if any(isinstance(key, HmacKey) for key in keys):
        raise FetchFailed("the JWK Set publishes secrets")
    return keys


def _json_object(document: Document) -> dict[str, Any]:
    try:
        value = strict_json.loads(document.body)
    except ValueError:
        raise FetchFailed("not strict JSON") from None
    if not isinstance(value, dict):
        raise FetchFailed("not a JSON object")
    return value
