"""Finds the route for a path: one look-up for fixed paths, and a short list of patterns for the others."""

import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

from starlette.types import Scope

T = TypeVar("T")

_MAX_PARAMETER: Final = 128
"""Characters of one path parameter. Ids and role names are far shorter, so longer ones are not looked up."""

PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")
"""``{name}`` in the path of a route."""

_NAVIGATION: Final = frozenset({".", ".."})

_NO_PARAMETERS: Final[Mapping[str, str]] = {}


class Found(NamedTuple, Generic[T]):
    methods: Mapping[str, T]
    parameters: Mapping[str, str]


class Table(Generic[T]):
    """Methods by path. A path must match exactly: slashes are not added or removed, and there are no redirects."""

    def __init__(self, entries: Iterable[tuple[str, str, T]]) -> None:
        """Each entry is (method, path, target).

        Raises:
            TypeError: a method and path occur twice, two paths differ only in the name of a parameter, or such a name
                has other characters than lowercase letters and underscores.
        """
        self._fixed: dict[str, dict[str, T]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, T]]] = {}
        for method, path, target in entries:
            methods = self._methods_of(path)
            if method in methods:
                raise TypeError(f"{method} {path} is defined twice")
            methods[method] = target

    def _methods_of(self, path: str) -> dict[str, T]:
        if "{" not in path:
            return self._fixed.setdefault(path, {})
        pattern = _pattern(path)
        known, methods = self._patterns.setdefault(PARAMETER.sub("{}", path), (pattern, {}))
        if known != pattern:  # the handler of one of them would get its parameter under the wrong name
            raise TypeError(f"{path}: another route with this path names its parameters differently")
        return methods

    def find(self, path: str, *, is_escaped: bool = False) -> Found[T] | None:
        """``is_escaped``: the path is as it was sent. Only its parameters may have percent escapes."""
        if (methods := self._fixed.get(path)) is not None:
            return Found(methods, _NO_PARAMETERS)
        for pattern, methods in self._patterns.values():
            if match := pattern.fullmatch(path):
                parameters = match.groupdict()
                if is_escaped:
                    parameters = {name: urllib.parse.unquote(text) for name, text in parameters.items()}
                return Found(methods, parameters) if all(map(_is_parameter, parameters.values())) else None
        return None

    def find_in(self, scope: Scope) -> Found[T] | None:
        """The route for a request. Decides by the path as it was sent, if the server passes it on.

        Proxies match that path: if ``/auth%2Fme`` or ``/auth/%6de`` were the same as ``/auth/me``, a request could
        avoid the proxy's rules. So the fixed part of a path must not have escapes.
        """
        path = path_of(scope)
        sent: bytes | None = scope.get("raw_path")
        if sent is None or b"%" not in sent:
            return self.find(path)
        # the last segments: what comes before them is the mount
        segments = sent.decode("latin-1").rsplit("/", path.count("/"))
        escaped = "/".join(["", *segments[1:]])
        return self.find(escaped, is_escaped=True) if _is_spelling_of(path, escaped) else None


def _is_spelling_of(path: str, escaped: str) -> bool:
    try:
        return urllib.parse.unquote(escaped, errors="strict") == path
    except UnicodeDecodeError:
        return False


def _is_parameter(text: str) -> bool:
    """Whether a parameter can be an id. With %00, %2F or the like it cannot, and it must not reach the database."""
    return text.isprintable() and "/" not in text and text not in _NAVIGATION


def _pattern(path: str) -> re.Pattern[str]:
    first, *rest = PARAMETER.split(path)
    if "{" in first + "".join(rest[1::2]):
        raise TypeError(f"{path}: a parameter must look like {{role_name}}")
    parts = [
        f"(?P<{name}>[^/]{{1,{_MAX_PARAMETER}}}){re.escape(text)}"
        for name, text in zip(rest[::2], rest[1::2], strict=True)
    ]
    return re.compile(re.escape(first) + "".join(parts))


def path_of(scope: Scope) -> str:
    """The path from the server, without the ``root_path`` where the app is mounted (ASGI 3 HTTP scope).

    It is never taken from a URL that was assembled from headers, so a Host header cannot change it (CVE-2026-48710).
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and (len(path) == len(root) or path[len(root)] == "/"):
        return path[len(root) :]
    return path
