"""The application's own account fields: one nested object, described by a class of the application.

The class is a msgspec Struct, a dataclass or a pydantic model. The owner of an account may write only marked fields:
``nickname: Annotated[str, WRITABLE] = ""``. Otherwise ``PATCH {"profile": {"plan": "pro"}}`` would work.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from ostiary.errors import ConfigurationError, InvalidBody
from ostiary.trace import trace

_LOG: Final = logging.getLogger("ostiary.accounts")

P = TypeVar("P")

MOST_BYTES: Final = 8 * 1024
"""Of a stored profile. It is read with the account; documents and files belong elsewhere."""

_FIELD: Final = "profile"


class _Writable:
    def __repr__(self) -> str:
        return "WRITABLE"


WRITABLE: Final = _Writable()
"""Marks a profile field that the owner of the account may write: ``Annotated[str, WRITABLE]``."""


class Unfit(Exception):
    """A stored profile that does not fit its class any more. The message quotes no value."""


class Profile(Generic[P]):
    """The application's class, as registration, `PATCH /auth/me` and storage need it.

    Raises:
        ConfigurationError: it is no such class, a new account could not have a profile because a field that people may
            not write has no default, or a field is marked where the mark has no effect.
    """

    def __init__(self, shape: type[P]) -> None:
        self._shape = shape
        self._convert, self._dump, names = _kind(shape)
        hints = get_type_hints(shape, include_extras=True)
        self._writable = tuple(name for name in names if _is_writable(hints[name]))
        self.body: Final = msgspec.defstruct(
            "ProfileFields",
            [(name, _on_the_wire(hints[name]) | msgspec.UnsetType, msgspec.UNSET) for name in self._writable],
            frozen=True,
            forbid_unknown_fields=True,
            kw_only=True,
        )
        self.body.__doc__ = "The profile fields that the owner of the account may write."
        self.answer: Final[Any] = _on_the_wire(shape)
        for name in names:
            if name not in self._writable and _has_mark(hints[name]):
                raise ConfigurationError(
                    f"profile {shape.__name__}: {name} has WRITABLE inside its type. Write "
                    "Annotated[str | None, WRITABLE] instead of Annotated[str, WRITABLE] | None"
                )
            if name not in self._writable and _is_required(shape, name):
                raise ConfigurationError(
                    f"profile {shape.__name__}: {name} needs a default, because people may not write it"
                )

    def new(self, given: msgspec.Struct | None) -> str:
        """The profile of a new account, as it is stored. Raises InvalidBody."""
        return self.changed(None, given)

    def changed(self, stored: str | None, given: msgspec.Struct | None) -> str:
        """A stored profile with the owner's changes. Fields that the class does not know any more are kept.

        Raises:
            InvalidBody: it does not fit, or is too large.
        """
        fields = {} if given is None else msgspec.to_builtins(given)
        return self._merged(stored, {name: value for name, value in fields.items() if value is not msgspec.UNSET})

    def replaced(self, stored: str | None, profile: P) -> str:
        """A stored profile with the fields of ``profile``. Raises InvalidBody, and TypeError for another type."""
        if not isinstance(profile, self._shape):
            raise TypeError(f"the profile must be a {self._shape.__name__}, not a {type(profile).__name__}")
        try:
            fields = self._guarded(self._dump, profile)
        except _NotConvertible as problem:
            raise InvalidBody(str(problem)) from None
        return self._merged(stored, fields)

    def read(self, stored: str | None) -> P:
        """The profile of an account. One that never had a profile has the defaults. Raises Unfit."""
        try:
            made: P = self._guarded(self._convert, _loaded(stored))
        except _NotConvertible as problem:
            raise Unfit(str(problem)) from None
        return made

    def plain(self, stored: str | None) -> dict[str, Any]:
        """The profile of an account as JSON values. Raises Unfit."""
        profile = self.read(stored)
        try:
            plain: dict[str, Any] = self._guarded(self._dump, profile)
        except _NotConvertible as problem:
            raise Unfit(str(problem)) from None
        return plain

    def _guarded(self, step: Callable[[Any], Any], value: Any) -> Any:
        """Runs the application's own code. Raises only _NotConvertible: whatever a validator raises, a caller who sent
        something odd is refused, and a stored profile is reported."""
        try:
            return step(value)
        except _NotConvertible:
            raise
        except Exception as problem:  # noqa: BLE001 — see above
            _LOG.warning("profile.class_failed", extra={"error": trace(problem)})
            raise _NotConvertible(f"`{_FIELD}` is not valid") from None

    def _merged(self, stored: str | None, changes: Mapping[str, Any]) -> str:
        before = _loaded(stored)
        try:
            checked = self._guarded(self._dump, self._guarded(self._convert, {**before, **changes}))
            text = msgspec.json.encode({**before, **checked})
        except _NotConvertible as problem:
            raise InvalidBody(str(problem)) from None
        except UnicodeEncodeError:
            raise InvalidBody(f"`{_FIELD}` has characters that cannot be stored") from None
        if len(text) > MOST_BYTES:
            raise InvalidBody(f"`{_FIELD}` is larger than {MOST_BYTES} bytes")
        return text.decode()


class _NotConvertible(Exception):
    """The message is for callers and quotes no value."""


def _kind(
    shape: type[Any],
) -> tuple[Callable[[dict[str, Any]], Any], Callable[[Any], dict[str, Any]], tuple[str, ...]]:
    """How to make one from JSON values, how to make JSON values of one, and the names of its fields."""
    if isinstance(shape, type) and hasattr(shape, "model_validate") and hasattr(shape, "model_fields"):
        return _pydantic(shape)
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        fields = msgspec.structs.fields(shape)
        if any(field.name != field.encode_name for field in fields):
            raise ConfigurationError(f"profile {shape.__name__}: renamed fields are not supported")
        names = tuple(field.name for field in fields)
    elif dataclasses.is_dataclass(shape) and isinstance(shape, type):
        names = tuple(field.name for field in dataclasses.fields(shape))
    else:
        raise ConfigurationError("profile must be a msgspec Struct, a dataclass or a pydantic model")

    def convert(value: dict[str, Any]) -> Any:
        try:
            return msgspec.convert(value, shape)
        except msgspec.ValidationError as problem:
            raise _NotConvertible(_within_profile(str(problem))) from None

    def dump(profile: Any) -> dict[str, Any]:
        # field by field: msgspec leaves out the plain defaults of a dataclass
        return {name: msgspec.to_builtins(getattr(profile, name)) for name in names}

    return convert, dump, names


def _pydantic(
    shape: Any,
) -> tuple[Callable[[dict[str, Any]], Any], Callable[[Any], dict[str, Any]], tuple[str, ...]]:
    # without importing pydantic: who passes such a class has it
    if any(field.alias for field in shape.model_fields.values()):
        raise ConfigurationError(f"profile {shape.__name__}: aliases are not supported")

    def convert(value: dict[str, Any]) -> Any:
        try:
            return shape.model_validate(value)
        except ValueError as problem:
            errors = getattr(problem, "errors", None)
            if errors is None:
                raise
            (first, *_) = errors(include_url=False, include_input=False, include_context=False)
            place = ".".join(map(str, (_FIELD, *first["loc"])))
            raise _NotConvertible(f"`{place}`: {first['msg']}") from None

    def dump(profile: Any) -> dict[str, Any]:
        plain: dict[str, Any] = profile.model_dump(mode="json")
        return plain

    return convert, dump, tuple(shape.model_fields)


def _within_profile(problem: str) -> str:
    """msgspec's words, with the place counted from the body: ``Expected `str`, got `int` - at `$.profile.name```."""
    if " - at `$" in problem:
        return problem.replace(" - at `$", f" - at `$.{_FIELD}", 1)
    return f"{problem} - at `$.{_FIELD}`"


def _loaded(stored: str | None) -> dict[str, Any]:
    return {} if stored is None else msgspec.json.decode(stored, type=dict[str, Any])


def _is_writable(hint: Any) -> bool:
    return get_origin(hint) is Annotated and any(each is WRITABLE for each in get_args(hint)[1:])


def _has_mark(hint: Any) -> bool:
    """Whether the mark is anywhere in the type, where it would have no effect."""
    return any(each is WRITABLE or _has_mark(each) for each in get_args(hint))


def _on_the_wire(hint: Any) -> Any:
    """The type, if msgspec can read it and every object in it is closed; otherwise any JSON value, which the class
    itself then judges."""
    try:
        _, components = msgspec.json.schema_components((hint,))
    except (TypeError, RecursionError):
        return Any
    nested = [schema for schema in components.values() if "properties" in schema]
    if isinstance(hint, type) and nested:
        nested = [schema for name, schema in components.items() if "properties" in schema and name != hint.__name__]
        return hint if not nested else Any
    return Any if nested else hint


def _is_required(shape: Any, name: str) -> bool:
    if hasattr(shape, "model_fields"):
        return bool(shape.model_fields[name].is_required())
    if issubclass(shape, msgspec.Struct):
        return next(field.required for field in msgspec.structs.fields(shape) if field.name == name)
    field = next(field for field in dataclasses.fields(shape) if field.name == name)
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
