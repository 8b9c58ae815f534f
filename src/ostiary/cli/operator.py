"""The actor of every command: the operator at the command line."""

import os
import pwd

from ostiary.core.plug import Actor


def operator() -> Actor:
    """The operating system's user, found by user id so that environment variables cannot change it."""
    try:
        return Actor.operator(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:  # in a container the user often has no name
        return Actor.operator(f"uid {os.getuid()}")
