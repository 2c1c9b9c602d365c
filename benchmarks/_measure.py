"""Run a command and print its time and peak memory: `python _measure.py COMMAND ...`.

A process of its own, and a small one: on Linux a new process starts with its parent's memory as
its own peak, so a benchmark that holds gigabytes could not measure its children itself.
"""

import json
import os
import subprocess
import sys
import time

#: Bytes of one unit of ru_maxrss.
_UNIT = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """Run the command with its output on stderr; print one JSON line."""
    started = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    measured = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_bytes": usage.ru_maxrss * _UNIT,
        "code": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
