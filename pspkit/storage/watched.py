"""Runs a command that ends with its parent, however the parent ends: `python watched.py COMMAND ...`.

The parent holds the other end of this process's standard input, which is closed when the parent ends.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def main() -> int:
    """Runs the command in its own process group, and returns its exit code."""
    client = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)

    def end() -> None:
        with suppress(ProcessLookupError):
            os.killpg(client.pid, signal.SIGKILL)

    def wait_for_parent() -> None:
        os.read(0, 1)  # Nothing is sent: this returns when the other end is closed.
        end()

    threading.Thread(target=wait_for_parent, daemon=True).start()
    try:
        return client.wait()
    finally:
        end()


if __name__ == "__main__":
    sys.exit(main())
