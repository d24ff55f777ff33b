"""README's tables from the files that `make gpu` wrote: `python -m benchmarks.tables [FILE ...]`."""

import argparse
import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def table(results: dict[str, Any]) -> str:
    """One file's measurements in Markdown: a heading, and a table for each thing that was measured."""
    machine = results["machine"]
    parts = [f"{machine['device']}, torch {machine['torch']}, {machine['date']}"]
    taken = [entry for entry in results.get("measurements", []) if "seconds" in entry]
    for what in dict.fromkeys(entry["what"] for entry in taken):
        rows = [entry for entry in taken if entry["what"] == what]
        several = any(entry["batch"] for entry in rows)
        columns = ["", *(["batch"] if several else []), "a second", "faster", "peak GiB", "error"]
        lines = [f"**{what[0].upper()}{what[1:]}**", "", _row(columns), _row(["---"] * len(columns))]
        for entry in rows:
            batch = [str(entry["batch"])] if several else []
            peak = f"{entry['peak_gib']:.1f}" if "peak_gib" in entry else ""
            error = f"{entry['error']:.0e}" if "error" in entry else ""
            cells = [entry["way"], *batch, f"{entry['per_second']:,.1f}", f"{entry['faster']:.2f}x", peak, error]
            lines.append(_row(cells))
        parts.append("\n".join(lines))
    if results.get("left_out"):
        names = ", ".join(f"{entry['what']} ({entry['way']})" for entry in results["left_out"])
        parts.append(f"Left out, as the time was up: {names}.")
    return "\n\n".join(parts)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="results; all in benchmarks/results unless given")
    for path in parser.parse_args().files or sorted(RESULTS.glob("gpu-*.json")):
        print(table(json.loads(path.read_text(encoding="utf-8"))), end="\n\n")


if __name__ == "__main__":
    main()
