"""Finds the documents that an issuer publishes, and loads its current keys."""

import os
import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from ostiary.errors import ConfigurationError, KeyRejected
from ostiary.jose import HmacKey, KeySet, strict_json
from ostiary.jose.algorithms import scheme_named
from ostiary.verifier.remote.address import AddressRule
from ostiary.verifier.remote.fetch import Document, Fetcher, FetchFailed, NotThere, Resolve, resolve_by_system
from ostiary.verifier.remote.url import Url, openid_configuration_url, read_issuer, read_url, well_known_url

DEADLINE: Final = 5.0  # seconds for the whole fetch: name look-ups, connections, metadata and keys


class PublishedKeys(NamedTuple):
    keys: KeySet
    max_age: int | None
    """Seconds for which the issuer allows caching. None: it does not say."""


class IssuerSource:
    """Loads an issuer's JWK Set and other documents at the issuer's own origin.

    The JWK Set is at ``jwks_uri`` if given, else at the URL in the issuer's metadata (RFC 8414). The metadata must name
    exactly this issuer (§3.3), and only URLs at the issuer's own origin. The parameters and their errors are those of
    `ostiary.verifier.RemoteKeys`.
    """

    def __init__(
        self,
        issuer: str,
        *,
        jwks_uri: str | None = None,
        alg: str | None = None,
        openid: bool = False,
        networks: Iterable[str] = (),
        ca_file: str | os.PathLike[str] | None = None,
        development: bool = False,
        resolve: Resolve = resolve_by_system,
    ) -> None:
        self._issuer = issuer
        self._url = read_issuer(issuer, development=development)
        self._jwks_url = None if jwks_uri is None else read_url(jwks_uri, development=development)
        self._alg = None if alg is None else scheme_named(alg).name
        self._openid = openid
        self._development = development
        rule = AddressRule(loopback=self._url.is_loopback, networks=networks)
        self._fetcher = Fetcher(rule, ca_file=ca_file, resolve=resolve)
        self.get: Final = self._fetcher.get

    def load(self) -> PublishedKeys:
        """Loads the keys within `DEADLINE`. Raises FetchFailed."""
        until = time.monotonic() + DEADLINE
        url = self._jwks_url or self.endpoint("jwks_uri", until)
        document = self.get(url, until=until)
        return PublishedKeys(_key_set(document, self._alg), document.max_age)

    def own_url(self, text: str) -> Url:
        """Reads a URL at the issuer's own origin. Raises ConfigurationError for any other URL, as `read_url` does."""
        url = read_url(text, development=self._development)
        if url.origin != self._url.origin:  # otherwise a token could make us call any server
            raise ConfigurationError("the URL is not at the issuer's own origin")
        return url

    def endpoint(self, name: str, until: float) -> Url:
        """The URL that the issuer's metadata has under ``name``. Raises FetchFailed."""
        metadata = self._get_metadata(until)
        if metadata.get("issuer") != self._issuer:
            raise FetchFailed("issuer: the metadata is about another issuer")
        try:
            url = read_url(metadata.get(name, ""), development=self._development)
        except ConfigurationError:
            raise FetchFailed(f"{name}: the URL in the metadata is missing or not usable") from None
        if url.origin != self._url.origin:
            hint = ": to permit it, pass jwks_uri=…" if name == "jwks_uri" else ""
            raise FetchFailed(f"{name}: the URL in the metadata is at another origin{hint}")
        return url

    def _get_metadata(self, until: float) -> dict[str, Any]:
        """The metadata of RFC 8414, or of OpenID Connect where that is permitted and the first is not there.

        A server that fails or does not answer may still have it, so that is a failure and no reason to ask elsewhere.
        """
        try:
            return self._get(well_known_url(self._issuer, "oauth-authorization-server"), until)
        except NotThere:
            if not self._openid:
                raise
        return self._get(openid_configuration_url(self._issuer), until)

    def _get(self, text: str, until: float) -> dict[str, Any]:
        return _json_object(self.get(read_url(text, development=self._development), until=until))


def _key_set(document: Document, alg: str | None) -> KeySet:
    """The usable keys (RFC 7517 §5). Secrets are never used, because anyone could read them here."""
    try:
        keys = KeySet.from_jwks(_json_object(document), alg=alg)
    except KeyRejected as problem:
        raise FetchFailed(problem.detail) from None
    if any(isinstance(key, HmacKey) for key in keys):
        raise FetchFailed("the JWK Set publishes secrets (kty oct): the issuer must remove and replace them")
    return keys


def _json_object(document: Document) -> dict[str, Any]:
    try:
        value = strict_json.loads(document.body)
    except ValueError:
        raise NotThere("the document is not strict JSON") from None
    if not isinstance(value, dict):
        raise NotThere("the document is not a JSON object")
    return value
