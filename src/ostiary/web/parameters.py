"""Reads parameters from query strings and forms: ``name=value&name=value``."""

import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import inspect

from ostiary.errors import InvalidBody, InvalidQuery, InvalidRequest
from ostiary.web.reason import reason
from ostiary.web.storable import unstorable

Reading: TypeAlias = Callable[[str], Any]

_MOST: Final = 64
"""Parameters of one request. The longest list that a specification of OAuth defines has about twenty."""

_MOST_ESCAPES: Final = 4096
"""Percent escapes of one request: decoding each costs processor time. Tokens need none."""

_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")  # no longer than an int64


def read_parameters(data: bytes) -> dict[str, str]:
    """The parameters of ``application/x-www-form-urlencoded``, in UTF-8.

    Raises:
        InvalidRequest: a name occurs twice (RFC 6749 §3.2): a proxy may have checked the other value. Or a parameter
            has no equals sign, a broken escape or text that is not UTF-8, or there are too many parameters
            or escapes.
    """
    if not data:
        return {}
    if data.count(b"&") >= _MOST:
        raise InvalidRequest("too many parameters")
    if data.count(b"%") > _MOST_ESCAPES:
        raise InvalidRequest("too many percent escapes")
    parameters: dict[str, str] = {}
    for pair in data.split(b"&"):
        name, equals, value = pair.partition(b"=")
        if not equals:
            raise InvalidRequest("a parameter has no equals sign")
        decoded = unquote(name)
        if decoded in parameters:
            raise InvalidRequest("a parameter occurs twice")
        parameters[decoded] = unquote(value)
    return parameters


def unquote(text: bytes) -> str:
    """Decodes one name or value. Raises InvalidRequest for a broken escape, because parsers disagree about it, and for
    text that is not UTF-8."""
    if _BROKEN_ESCAPE.search(text):
        raise InvalidRequest("a percent sign is not followed by two hexadecimal digits")
    try:
        return urllib.parse.unquote_to_bytes(text.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("a parameter is not UTF-8") from None


class Texts:
    """Converts texts to the fields of a struct: integers from ASCII digits, booleans from ``true`` and ``false``.

    msgspec's own lax mode accepts too much: ``1e2`` and ``1.0`` as integers, and ``-0`` as false.
    """

    def __init__(self, shape: type[msgspec.Struct], *, error: type[InvalidQuery | InvalidBody], whole: str) -> None:
        """Prepares the conversion.

        Args:
            error: the error that `fit` raises.
            whole: what its message calls all parameters together, such as ``the query``.

        Raises:
            TypeError: the struct has a field that cannot be converted from text.
        """
        self._shape = shape
        self._error = error
        self._whole = whole
        self._readings = {field.encode_name: _reading(field, shape) for field in _fields(shape)}

    def fit(self, texts: Mapping[str, str]) -> msgspec.Struct:
        """Returns the struct. Raises the error for missing and unknown names, wrong types and NUL characters."""
        values = {name: self._readings.get(name, str)(text) for name, text in texts.items()}
        try:
            fitting = msgspec.convert(values, self._shape)
        except msgspec.ValidationError as problem:
            raise self._error(reason(str(problem), whole=self._whole)) from None
        if why := unstorable(values):
            raise self._error(why)
        return fitting


def _fields(shape: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    described = inspect.type_info(shape)
    return described.fields if isinstance(described, inspect.StructType) else ()


def _reading(field: inspect.Field, shape: type[msgspec.Struct]) -> Reading:
    declared = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
    kinds = {type(kind) for kind in declared} - {inspect.NoneType}
    if kinds == {inspect.IntType}:
        return _number
    if kinds == {inspect.BoolType}:
        return _truth
    if kinds <= {inspect.StrType, inspect.EnumType, inspect.LiteralType}:
        return str
    raise TypeError(f"{shape.__name__}.{field.name}: a parameter must be a string, an integer or a boolean")


def _number(text: str) -> int | str:
    return int(text) if _NUMBER.fullmatch(text) else text  # msgspec refuses the text and names the expected type


def _truth(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text, text)
