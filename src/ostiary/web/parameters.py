"""Parameters in query strings and forms: ``name=value&name=value``."""

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

_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")  # no longer than an int64


def read_parameters(data: bytes) -> dict[str, str]:
    """The parameters of ``application/x-www-form-urlencoded``, in UTF-8.

    Raises:
        InvalidRequest: a name occurs twice, and a proxy in front may have checked the other one (RFC 6749
            §3.2); one without an equals sign; a broken escape; not UTF-8; or too many.
    """
    if not data:
        return {}
    if data.count(b"&") >= _MOST:
        raise InvalidRequest("too many parameters")
    parameters: dict[str, str] = {}
    for pair in data.split(b"&"):
        name, equals, value = pair.partition(b"=")
        if not equals:
            raise InvalidRequest("a parameter without an equals sign")
        decoded = unquote(name)
        if decoded in parameters:
            raise InvalidRequest("a parameter comes twice")
        parameters[decoded] = unquote(value)
    return parameters


def unquote(text: bytes) -> str:
    """One name or value. Raises InvalidRequest for a broken escape, which other parsers read differently, and for text
    that is not UTF-8."""
    if _BROKEN_ESCAPE.search(text):
        raise InvalidRequest("a percent sign without two hexadecimal digits")
    try:
        return urllib.parse.unquote_to_bytes(text.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("a parameter is not UTF-8") from None


class Texts:
    """Fits texts into a struct: a whole number is ASCII digits, a truth value ``true`` or ``false``, a text itself.

    msgspec's own lax mode is too lax: there ``1e2`` and ``1.0`` are numbers, and ``-0`` is false.
    """

    def __init__(self, shape: type[msgspec.Struct], *, error: type[InvalidQuery | InvalidBody], whole: str) -> None:
        """``error`` is what `fit` raises; ``whole`` is what it calls all parameters together. Raises TypeError for a
        struct with a field that no text can be."""
        self._shape = shape
        self._error = error
        self._whole = whole
        self._readings = {field.encode_name: _reading(field, shape) for field in _fields(shape)}

    def fit(self, texts: Mapping[str, str]) -> msgspec.Struct:
        """Raises the error for missing and unknown names, values of another type and NUL characters."""
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
    raise TypeError(f"{shape.__name__}.{field.name}: a parameter is a text, a whole number or a truth value")


def _number(text: str) -> int | str:
    return int(text) if _NUMBER.fullmatch(text) else text  # a text will not fit, and the refusal says what would


def _truth(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text, text)
