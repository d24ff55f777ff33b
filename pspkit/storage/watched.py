"""Runs a command that ends when its parent does, however that ends: `python watched.py COMMAND ...`.

The parent holds the other end of this process's standard input, which closes with it.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def main() -> int:
    """Starts the command with all that it starts in a group of its own, and gives its exit code."""
    client = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)

    def end() -> None:
        with suppress(ProcessLookupError):
            os.killpg(client.pid, signal.SIGKILL)

    def wait_for_parent() -> None:
        os.read(0, 1)  # nothing comes: it returns when the other end is closed
        end()

    threading.Thread(target=wait_for_parent, daemon=True).start()
    try:
        return client.wait()
    finally:
        end()


if __name__ == "__main__":
    sys.exit(main())
