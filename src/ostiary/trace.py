"""Where an unexpected error happened, without what it says."""

import traceback


def trace(error: BaseException) -> str:
    """The types and code positions of an error and, after it, of those it came from.

    Messages are left out: a driver's error quotes the parameter it choked on, and that may be a password or a token.
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
