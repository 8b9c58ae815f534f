"""Memory that a server process gives back to the operating system."""

import contextlib
import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3  # malloc.h of glibc, for mallopt(3)
_M_ARENA_MAX: Final = -8

_LARGE: Final = 1024 * 1024
_ARENAS: Final = 2


def give_back_large_blocks() -> None:
    """Makes blocks of a megabyte or more, such as the memory of a password hash, leave the process when they are freed.

    By default glibc keeps such a block after the first one was freed, and one in each thread that hashed: a worker grew
    by 60 MB with its first sign-ins. On other C libraries, this does nothing.
    """
    with contextlib.suppress(OSError, AttributeError):
        set_option = ctypes.CDLL(None).mallopt
        set_option(_M_MMAP_THRESHOLD, _LARGE)
        set_option(_M_ARENA_MAX, _ARENAS)
