"""A training within a given time, on a machine from which only small files come back.

    python -m tools.prepared --minutes 8 --out runs/sketch --pieces OUT -- train --task sketch --profile gpu
    python -m tools.prepared --unpack OUT --out runs/sketch

The first command starts the training in runs/sketch, or goes on with the one that is there, ends it when the time is
up, and packs the folder into pieces; the second puts the folder together again, so that the first can go on.
"""

import argparse
import gzip
import io
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from pspkit.errors import PspkitError

PIECE = 15_000_000  # bytes of a piece at most
SAVING = 60.0  # seconds that a training has to begin, and to save its state when it is interrupted
NAME = "piece-{:03}"


class _Pieces(io.RawIOBase):
    """A stream whose bytes go into numbered files, none larger than `limit`."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit, self.count, self.room = folder, limit, 0, 0
        self.file: io.BufferedWriter | None = None

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        data = memoryview(data).cast("B")
        written = 0
        while written < len(data):
            if not self.room:
                self._next()
            part = data[written : written + self.room]
            self.file.write(part)
            written, self.room = written + len(part), self.room - len(part)
        return written

    def close(self) -> None:
        if self.file:
            self.file.close()
        super().close()

    def _next(self) -> None:
        if self.file:
            self.file.close()
        self.file = (self.folder / NAME.format(self.count)).open("wb")
        self.count, self.room = self.count + 1, self.limit


def pack(folder: Path, pieces: Path, limit: int = PIECE) -> list[Path]:
    """Packs a folder into numbered files of at most `limit` bytes.

    Args:
        folder: what to pack.
        pieces: where the files go; pieces that lie there are replaced.
        limit: bytes.

    Returns:
        The files, in order.

    Raises:
        PspkitError: there is no such folder.
    """
    if not folder.is_dir():
        raise PspkitError(f"{folder}: no such folder, so there is nothing to pack.")
    pieces.mkdir(parents=True, exist_ok=True)
    for old in pieces.glob(NAME.format(0)[:-3] + "*"):
        old.unlink()
    with (
        _Pieces(pieces, limit) as stream,
        gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as packed,  # its checksum tells damage
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        archive.add(folder, arcname=".")
    return sorted(pieces.glob("piece-*"))


def unpack(pieces: Path, folder: Path) -> None:
    """Puts a folder that `pack` took apart together again; files of the same names are replaced.

    Raises:
        PspkitError: there are no pieces, one is missing, or they are damaged.
    """
    files = sorted(pieces.glob("piece-*"))
    if [file.name for file in files] != [NAME.format(number) for number in range(len(files))] or not files:
        raise PspkitError(f"{pieces}: holds {', '.join(file.name for file in files) or 'no pieces'}. Get all of them.")
    content = io.BytesIO(b"".join(file.read_bytes() for file in files))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=content, mode="r:gz") as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise PspkitError(f"{pieces}: the pieces cannot be read ({error}). Get all of them again.") from error


def train(arguments: list[str], out: Path, minutes: float) -> int:
    """Runs `pspkit` with these arguments, with --out, --resume and --minutes; interrupts it where it takes far longer.

    Returns:
        The exit code: 0 also where the time was up.
    """
    options = ["--out", str(out), "--resume", "--minutes", f"{minutes:g}"]
    process = subprocess.Popen([sys.executable, "-m", "pspkit", *arguments, *options])
    for patience in (60 * minutes + SAVING, SAVING):
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # as Ctrl-C: the state is saved
    process.kill()
    process.wait()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.prepared", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the training")
    parser.add_argument("--minutes", type=float, default=5.0, metavar="M", help="when to stop; 5 unless given")
    parser.add_argument("--pieces", type=Path, metavar="DIR", help="where the packed training goes")
    parser.add_argument("--unpack", type=Path, metavar="DIR", help="only put these pieces together in --out")
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="after --: train, and its options")
    options = parser.parse_args()
    if options.unpack:
        unpack(options.unpack, options.out)
        return 0
    if not options.arguments:
        parser.error("what to train: after --, such as -- train --profile gpu")
    start = time.monotonic()
    code = train(options.arguments, options.out, options.minutes)
    print(f"{options.out}: stopped after {(time.monotonic() - start) / 60:.1f} minutes", flush=True)
    if options.pieces and options.out.is_dir():
        for piece in pack(options.out, options.pieces):
            print(f"{piece}: {piece.stat().st_size / 1e6:.1f} MB")
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PspkitError as error:
        sys.exit(f"pspkit: {error}")
