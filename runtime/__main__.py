"""Command line of the runtime: python -m runtime encode | rank | parity | bench."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

import numpy as np

from runtime import bench, parity
from runtime.bundle import ENGINES, PRECISIONS, Bundle
from runtime.command_line import Parser, error_line
from runtime.errors import InputError
from runtime.json_text import read_json, read_text
from runtime.preprocess import load_image
from runtime.report import (
    MEMORY_PARTS,
    latency_table,
    memory_table,
    parity_table,
    plain_json,
    ranking_table,
)
from runtime.session import ScreenEncoder
from runtime.terminal import Progress, quiet_engine
from runtime.user import check_user

_PREVIEW = 16


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = Parser(prog="python -m runtime", description="Run and measure an exported encoder.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    encode = commands.add_parser("encode", allow_abbrev=False, help="embed one screenshot and text")
    _encoding(encode)
    encode.add_argument("--out", metavar="FILE.npy", help="also write the embedding there")
    encode.add_argument("--json", action="store_true", help="print the whole embedding as JSON")
    encode.set_defaults(run=run_encode, parser=encode)
    ranked = commands.add_parser(
        "rank", allow_abbrev=False, help="sort candidate texts by how well they fit a screenshot and text"
    )
    _encoding(ranked)
    ranked.add_argument("--candidates", metavar="FILE", required=True, help="a text a line, UTF-8")
    ranked.add_argument("--top", type=int, metavar="N", help="print the best N alone (default: all)")
    ranked.add_argument("--json", action="store_true", help="print JSON")
    ranked.set_defaults(run=run_rank, parser=ranked)
    checked = commands.add_parser(
        "parity", allow_abbrev=False, help="compare every engine with PyTorch's golden outputs"
    )
    _measuring(checked)
    checked.add_argument("--threads", type=int, default=2, help="default: 2")
    checked.set_defaults(run=run_parity, parser=checked)
    timed = commands.add_parser(
        "bench", allow_abbrev=False, help="measure latency and memory in fresh processes",
        description="Measures latency and memory in fresh processes. Memory by part: " + MEMORY_PARTS,
    )  # fmt: skip
    _measuring(timed)
    timed.add_argument("--runs", type=int, default=bench.RUNS, help=f"of each stage (default: {bench.RUNS})")
    timed.add_argument("--chart", metavar="FILE.png", help="also draw a bar chart")
    timed.set_defaults(run=run_bench, parser=timed)
    return parser


def _encoding(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="DIST", help="the exported folder, such as dist/balanced")
    parser.add_argument("image", metavar="IMAGE", help="a screenshot of any size")
    parser.add_argument("--text", default="", help="what was typed so far (default: nothing)")
    parser.add_argument("--user", metavar="FILE.json|N,N,...", help="the user vector (default: unknown user)")
    parser.add_argument("--engine", choices=ENGINES, default="tflite", help="default: tflite")
    parser.add_argument("--precision", choices=PRECISIONS, default="int8", help="default: int8")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")


def _measuring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="DIST", help="the exported folder, such as dist/balanced")
    parser.add_argument("--engine", choices=ENGINES, help="default: all")
    parser.add_argument("--precision", choices=PRECISIONS, help="default: all")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_encode(arguments: argparse.Namespace, stderr: IO[str]) -> int:
    """Embeds one screenshot and text, and prints the embedding and where the time went."""
    if arguments.out and not (arguments.out.endswith(".npy") and Path(arguments.out).parent.is_dir()):
        raise InputError(f"--out {arguments.out}: must be a .npy file in a folder that exists")
    bundle = Bundle.load(arguments.bundle)
    _, user_length = bundle.tensors["user"].shape
    user = None if arguments.user is None else check_user(_read_user(arguments.user), user_length)
    times_ms: dict[str, float] = {}
    pixels = _timed(times_ms, "read + resize", lambda: load_image(arguments.image, bundle.image_size))
    chosen = (arguments.engine, arguments.precision, arguments.threads)
    encoder = _timed(times_ms, "load", lambda: ScreenEncoder.load(arguments.bundle, *chosen))
    _timed(times_ms, "first encode", lambda: encoder.encode(pixels, arguments.text, user))
    _timed(times_ms, "vision", lambda: encoder.encode_screen(pixels))
    embedding = _timed(times_ms, "text + fuse", lambda: encoder.encode_text(arguments.text, user))
    if arguments.out:
        _write_npy(Path(arguments.out), embedding)
    if arguments.json:
        result = {"embedding": embedding.tolist(), "norm": float(np.linalg.norm(embedding)), "ms": times_ms}
        print(plain_json(result | {"engine": arguments.engine, "precision": arguments.precision}))
    else:
        _print_embedding(arguments, embedding, times_ms)
    return 0


def _print_embedding(
    arguments: argparse.Namespace, embedding: np.ndarray, times_ms: dict[str, float]
) -> None:
    rows = [embedding[start : start + 8] for start in range(0, _PREVIEW, 8)]
    preview = "\n            ".join("  ".join(f"{value:+.4f}" for value in row) for row in rows)
    threads = f"{arguments.threads} thread{'s' * (arguments.threads > 1)}"
    print(f"image       {arguments.image}")
    print(f"text        {arguments.text!r}")
    print(f"model       {arguments.bundle}, {arguments.engine} {arguments.precision}, {threads}")
    print("time        " + " · ".join(f"{name} {value:.2f} ms" for name, value in times_ms.items()))
    print(f"embedding   float32 [{embedding.size}], norm {np.linalg.norm(embedding):.6f}")
    print(f"            {preview}  ...")
    if arguments.out:
        print(f"written     {arguments.out}")


def run_rank(arguments: argparse.Namespace, stderr: IO[str]) -> int:
    """Prints candidate texts, those that fit best first."""
    if arguments.top is not None and arguments.top < 1:
        raise InputError(f"--top must be at least 1, not {arguments.top}")
    candidates = _read_candidates(arguments.candidates)
    user = None if arguments.user is None else _read_user(arguments.user)
    encoder = ScreenEncoder.load(arguments.bundle, arguments.engine, arguments.precision, arguments.threads)
    ranked = encoder.rank(arguments.image, arguments.text, candidates, user)[: arguments.top]
    if arguments.json:
        result = {"ranked": [entry._asdict() for entry in ranked], "candidates": len(candidates)}
        print(plain_json(result | {"engine": arguments.engine, "precision": arguments.precision}))
    else:
        shown = "" if len(ranked) == len(candidates) else f", the best {len(ranked)}"
        print(f"{len(candidates)} candidates for {arguments.text!r} on {arguments.image}{shown}\n")
        print(ranking_table(ranked))
    return 0


def _read_candidates(name: str) -> list[str]:
    """Candidate texts from a file, a line each; empty lines are skipped."""
    text = read_text(Path(name), what="file of candidates")
    lines = [line.strip("\r") for line in text.split("\n")]  # not splitlines(): a text may hold U+2028
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise InputError(f"--candidates {name}: holds no candidates: write one a line")
    return lines


def _read_user(text: str) -> list:
    """A user vector from a JSON file, or from numbers separated by commas."""
    if text.endswith(".json"):
        return read_json(Path(text), what="file of a user vector")
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise InputError("--user: neither a .json file nor numbers separated by commas") from None


def _timed(times_ms: dict[str, float], name: str, call):
    begin = time.perf_counter()
    result = call()
    times_ms[name] = (time.perf_counter() - begin) * 1e3
    return result


def _write_npy(path: Path, embedding: np.ndarray) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as stream:
        np.save(stream, embedding, allow_pickle=False)
    os.replace(temporary, path)


def run_parity(arguments: argparse.Namespace, stderr: IO[str]) -> int:
    """Prints every signature's distance from PyTorch; 1 where a limit fails."""
    bundle, (engines, precisions) = Bundle.load(arguments.bundle), _chosen(arguments)
    progress = Progress(stderr)
    try:
        rows = parity.measure(bundle, engines, precisions, threads=arguments.threads, on_progress=progress)
    finally:
        progress.close()
    passed = all(row.passed for row in rows)
    if arguments.json:
        print(plain_json({"rows": [asdict(row) for row in rows], "passed": passed}))
    else:
        print(parity_table(rows))
    return 0 if passed else 1


def run_bench(arguments: argparse.Namespace, stderr: IO[str]) -> int:
    """Prints latency and memory."""
    if arguments.runs < 1:
        raise InputError(f"--runs must be at least 1, not {arguments.runs}")
    if arguments.chart:
        from runtime.chart import check_chart_path, write_chart

        check_chart_path(arguments.chart)
    bundle, (engines, precisions) = Bundle.load(arguments.bundle), _chosen(arguments)
    progress = Progress(stderr)
    try:
        latency, memory = bench.measure(
            bundle, engines, precisions, runs=arguments.runs, on_progress=progress
        )
    finally:
        progress.close()
    machine = f"{os.cpu_count()} {platform.machine()} CPUs"
    if arguments.chart:
        write_chart(arguments.chart, latency, memory, f"Preset {bundle.manifest.get('preset')}, on {machine}")
    if arguments.json:
        rows = {"latency": [asdict(row) for row in latency], "memory": [asdict(row) for row in memory]}
        print(plain_json({"machine": machine} | rows))
    else:
        print(f"{bundle.path}, on {machine}\n\n{latency_table(latency)}\n\n{memory_table(memory)}")
        if arguments.chart:
            print(f"\nchart: {arguments.chart}")
    return 0


def _chosen(arguments: argparse.Namespace) -> tuple[Sequence[str] | None, Sequence[str] | None]:
    return (
        [arguments.engine] if arguments.engine else None,
        [arguments.precision] if arguments.precision else None,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        0 = well, 1 = a limit failed, 2 = bad use or bad input, 130 = interrupted.
    """
    arguments, unknown = build_parser().parse_known_args(argv)
    if unknown:
        arguments.parser.refuse(unknown)
    try:
        with quiet_engine() as stderr:
            return arguments.run(arguments, stderr)
    except InputError as error:
        sys.stderr.write(error_line(error))
        return 2
    except OSError as error:
        sys.stderr.write(error_line(f"{error.filename or 'output'}: {error.strerror or error}"))
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
