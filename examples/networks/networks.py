"""The networks of MLPerf Tiny on three boards with both compilers, and the tables made of it.

    python examples/networks/networks.py              # measures what networks.json lacks, resumes
    python examples/networks/networks.py --write-table

Every cycle is modelled. The peers' figures stand in peers.json with their source and date.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edgeq.bench.networks import NETWORKS, WIDTHS, bench_networks
from edgeq.errors import EdgeqError
from edgeq.files import write_file
from edgeq.reporting.markdown import write_table

HERE = Path(__file__).parent
RESULTS, PEERS = HERE / "networks.json", HERE / "peers.json"
BOARDS = ("virtual_m4", "nucleo_l4r5zi", "virtual_m0plus")
READMES = {  # the table's name and boards in each; the first page is kept short
    HERE / "README.md": ("", BOARDS),
    HERE.parents[1] / "README.md": ("networks", BOARDS[:2]),
}
COMPILERS = ("gcc", "zig")
Key = tuple[str, str, str, str]


def measured() -> dict[str, Any]:
    """What networks.json holds; empty where there is none."""
    if not RESULTS.exists():
        return {"runs": []}
    loaded: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return loaded


def measure(commit: str) -> None:
    """Adds each missing board, network, width and compiler; one written before the next begins."""
    whole = measured()
    done = {(r["board"], r["network"], r["weights"], r["kind"]) for r in whole["runs"]}
    every = [(b, n, w, c) for b in BOARDS for n in NETWORKS for w in WIDTHS for c in COMPILERS]
    for i, (board, network, weights, kind) in enumerate(key for key in every if key not in done):
        print(f"{i + 1} of {len(every) - len(done)}: {network} {weights} on {board}, {kind}")
        result = bench_networks(board, network, weights, kind)
        (row,) = result["networks"]
        facts = {"board": board, "kind": kind, "commit": commit, "seed": result["seed"]}
        facts |= {"flags": result["flags"], "source": result["source"]}
        whole["runs"].append(facts | row)
        write_file(RESULTS, (json.dumps(whole, indent=1) + "\n").encode())


def best(runs: list[dict[str, Any]], board: str, network: str, weights: str) -> dict[str, Any]:
    """The run of the compiler whose code is faster."""
    of = (board, network, weights)
    own = [r for r in runs if (r["board"], r["network"], r["weights"]) == of]
    fastest: dict[str, Any] = min(own, key=lambda r: int(r["cycles"]))
    return fastest


def millions(cycles: float | None) -> str:
    """Three digits that count: 10.8, 3.67, 0.366."""
    if cycles is None:
        return "-"
    return f"{cycles:.1f}" if cycles >= 10 else f"{cycles:.2f}" if cycles >= 1 else f"{cycles:.3f}"


def markdown(
    runs: list[dict[str, Any]], peers: dict[str, Any], boards: tuple[str, ...] = BOARDS
) -> str:
    """A row a network and board: ours by width, sizes, and the peers' cycles beside them."""
    heads = ["M cycles", "int8", "int4", "ternary", "TFLM + CMSIS-NN int8", "best published int8"]
    heads += ["weights, bytes: int8 / int4 / ternary", "arena"]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for board in boards:
        for network, facts in NETWORKS.items():
            ours = [best(runs, board, network, width) for width in WIDTHS]
            theirs = [
                peer["million_cycles"].get(board, {}).get(network)
                for peer in (peers["tflm_cmsis_nn"], peers["best_published"])
            ]
            cells = [f"{facts.title}, `{board}`"]
            cells += [f"**{millions(r['cycles'] / 1e6)}**" for r in ours]
            cells += [millions(number) for number in theirs]
            cells.append(" / ".join(f"{r['weight_bytes']:,}" for r in ours))
            cells.append(f"{max(r['arena_bytes'] for r in ours):,}")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measures or writes the tables; returns edgeq's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write-table", action="store_true", help="into the READMEs")
    parser.add_argument("--commit", default="", help="what is measured, kept in networks.json")
    given = parser.parse_args(arguments)
    try:
        if not given.write_table:
            measure(given.commit)
        runs, peers = measured()["runs"], json.loads(PEERS.read_text(encoding="utf-8"))
        print(markdown(runs, peers))
        if given.write_table:
            for readme, (name, boards) in READMES.items():
                write_table(readme, markdown(runs, peers, boards), name)
    except EdgeqError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
