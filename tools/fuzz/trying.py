"""One call of something that may fail: how it ended, how long it took, and how much memory."""

import os
import re
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pspkit.errors import UNSHOWN, PspkitError, shown

SECONDS, MEGABYTES = 5, 500  # of the processor; of growth


class Garbage(Exception):
    """Something damaged was taken for whole."""


def find_fault(call: Callable[[], Any], name: Path | None = None) -> str:
    """Makes a call.

    Args:
        call: what is tried.
        name: of the file, which an error has to name; None where there is none.

    Returns:
        What is wrong with how it ended; empty where nothing is.
    """
    start, before = time.process_time(), _peak(reset=True)
    try:
        call()
    except PspkitError as error:
        text = str(error)
        if name is not None and shown(name) not in text:
            return f"does not name the file: {text}"
        if re.search(f"(?!\n)[{UNSHOWN}]", text):
            return f"shows what a terminal obeys: {text!r}"
    except Garbage as error:
        return f"loads garbage: {error}"
    except SystemExit as error:
        if error.code not in (0, 2):
            return f"exits with {error.code}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    seconds, growth = time.process_time() - start, (_peak() - before) / 1e6
    if seconds > SECONDS:
        return f"takes {seconds:.1f} s"
    return f"takes {growth:.0f} MB" if growth > MEGABYTES else ""


def _peak(reset: bool = False) -> int:
    """The most memory that this process had, in bytes, since the last reset, where the system can reset it."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
    except OSError:
        unit = 1 if os.uname().sysname == "Darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
