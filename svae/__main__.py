"""The command line of the package: ``svae score`` scores a fit, ``svae genes`` lists its moved genes."""

import argparse
import sys
from collections.abc import Sequence

from svae.errors import BenchmarkError

# What a command needs is imported when it runs: `svae --help` should not wait for it.


def score(arguments: argparse.Namespace) -> None:
    """Print the scores of a fit, and write them to a file if one is named."""
    from svae.evaluation.score import as_text, score_files
    from svae.files import write_table

    scores = score_files(
        fit=arguments.fit,
        dataset=arguments.dataset,
        split=arguments.split,
        truth=arguments.truth,
        metrics=arguments.metrics,
        seed=arguments.seed,
    )
    if arguments.output is not None:
        write_table(scores, arguments.output)
    print(as_text(scores))


def genes(arguments: argparse.Namespace) -> None:
    """Print the genes that each perturbation moves, and write all genes to a file if one is named."""
    from svae.evaluation.genes import as_text, genes_of_fit
    from svae.files import write_table

    table = genes_of_fit(arguments.fit, arguments.fdr)
    if arguments.output is not None:
        write_table(table, arguments.output)
    print(as_text(table))


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    commands = argparse.ArgumentParser(
        prog="svae", description="A benchmark of models of perturbation screens."
    )
    command = commands.add_subparsers(dest="command", required=True, metavar="command")
    scoring = command.add_parser(
        "score", help="score a fit that was computed elsewhere", description=score.__doc__
    )
    scoring.add_argument("fit", help="h5ad file of the fit (docs/score.md says what it holds)")
    scoring.add_argument("--dataset", required=True, help="h5ad file of the cells that were fitted")
    scoring.add_argument("--split", required=True, help="table of what each cell was used for")
    scoring.add_argument("--truth", help="h5ad file of what the simulator knows, if one drew the cells")
    scoring.add_argument(
        "--metrics", nargs="+", metavar="METRIC", help="metrics to compute; all that apply by default"
    )
    scoring.add_argument("--seed", type=int, default=0, help="seed of what metrics draw (default: 0)")
    scoring.add_argument("--output", metavar="TSV", help="table to write the scores to")
    scoring.set_defaults(run=score)
    listing = command.add_parser(
        "genes", help="list the genes that each perturbation moves", description=genes.__doc__
    )
    listing.add_argument("fit", help="h5ad file of a fit that says which genes perturbations move")
    listing.add_argument(
        "--fdr", type=float, default=0.05, help="expected share of false calls, at most (default: 0.05)"
    )
    listing.add_argument("--output", metavar="TSV", help="table to write all genes to, called or not")
    listing.set_defaults(run=genes)
    return commands


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; return 1 and say why in one sentence if it cannot be done.

    Parameters
    ----------
    words
        What was typed behind the name of the program; by default that of this process.
    """
    arguments = parser().parse_args(words)
    try:
        arguments.run(arguments)
    except (BenchmarkError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
