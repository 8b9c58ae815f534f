"""Where an unexpected error happened, without its message."""

import traceback


def trace(error: BaseException) -> str:
    """The type and code positions of an error, followed by those of the errors that caused it.

    Messages are left out because a database driver's error quotes the parameter that failed, which may be a password
    or a token.
    """
    found: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = traceback.StackSummary.extract(traceback.walk_tb(current.__traceback__), lookup_lines=False)
        places = "".join(f"\n  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
        found.append(f"{type(current).__module__}.{type(current).__qualname__}{places}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\nfrom ".join(found)
