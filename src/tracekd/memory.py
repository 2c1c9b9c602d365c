"""What a process does with memory that it has freed."""

import ctypes
import os
import platform

#: glibc's mallopt(3): no arenas per thread, no blocks of their own from the system, no trimming.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_OPTIONS = ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1))
#: jemalloc's, polars' allocator on Linux: freed pages do not go back after a while.
_JEMALLOC = "dirty_decay_ms:-1,muzzy_decay_ms:-1"


def keep_freed_memory() -> None:
    """Keep what was freed for what comes next, unless the user has chosen otherwise.

    By default glibc gives large blocks back to the system, which then has to clear each page again:
    for work in equal steps up to a third of the time. So does polars' allocator, which is told what
    to do when it is loaded: call this before polars is imported.
    """
    if "MALLOC_ARENA_MAX" in os.environ or "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return
    os.environ.setdefault("_RJEM_MALLOC_CONF", _JEMALLOC)
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for option, value in _OPTIONS:
        mallopt(option, value)
