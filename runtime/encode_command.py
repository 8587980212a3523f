"""Command `encode`: embeds one screenshot and text, and tells where the time went."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from .bundle import Bundle
from .command_arguments import add_encoding_arguments, read_user
from .errors import InputError
from .files import write_atomically
from .preprocess import load_image
from .report import plain_json
from .session import ScreenEncoder
from .terminal import quiet_engine
from .user import check_user

_PREVIEW = 16
_Result = TypeVar("_Result")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_encoding_arguments(parser)
    parser.add_argument("--out", metavar="FILE.npy", help="also write the embedding there")
    parser.add_argument("--json", action="store_true", help="print the whole embedding as JSON")


def run(options: argparse.Namespace) -> int:
    """Prints the embedding and where the time went; returns 0.

    Raises:
        InputError: The bundle, the image, the user vector or the place of --out cannot be used.
    """
    if options.out and not (options.out.endswith(".npy") and Path(options.out).parent.is_dir()):
        raise InputError(f"--out {options.out}: must be a .npy file in a folder that exists")
    times_ms: dict[str, float] = {}
    with quiet_engine():
        embedding = _encode(options, times_ms)
    if options.out:
        write_atomically(options.out, lambda stream: np.save(stream, embedding, allow_pickle=False))
    if options.json:
        result = {"embedding": embedding.tolist(), "norm": float(np.linalg.norm(embedding)), "ms": times_ms}
        print(plain_json(result | {"engine": options.engine, "precision": options.precision}))
    else:
        _print(options, embedding, times_ms)
    return 0


def _encode(options: argparse.Namespace, times_ms: dict[str, float]) -> np.ndarray:
    bundle = Bundle.load(options.bundle)
    _, user_length = bundle.tensors["user"].shape
    user = None if options.user is None else check_user(read_user(options.user), user_length)
    pixels = _timed(times_ms, "read + resize", lambda: load_image(options.image, bundle.image_size))
    chosen = (options.engine, options.precision, options.threads)
    encoder = _timed(times_ms, "load", lambda: ScreenEncoder.load(options.bundle, *chosen))
    _timed(times_ms, "first encode", lambda: encoder.encode(pixels, options.text, user))
    _timed(times_ms, "vision", lambda: encoder.encode_screen(pixels))
    return _timed(times_ms, "text + fuse", lambda: encoder.encode_text(options.text, user))


def _timed(times_ms: dict[str, float], name: str, call: Callable[[], _Result]) -> _Result:
    begin = time.perf_counter()
    result = call()
    times_ms[name] = (time.perf_counter() - begin) * 1e3
    return result


def _print(options: argparse.Namespace, embedding: np.ndarray, times_ms: dict[str, float]) -> None:
    rows = [embedding[start : start + 8] for start in range(0, _PREVIEW, 8)]
    preview = "\n            ".join("  ".join(f"{value:+.4f}" for value in row) for row in rows)
    threads = f"{options.threads} thread{'s' * (options.threads > 1)}"
    print(f"image       {options.image}")
    print(f"text        {options.text!r}")
    print(f"model       {options.bundle}, {options.engine} {options.precision}, {threads}")
    print("time        " + " · ".join(f"{name} {value:.2f} ms" for name, value in times_ms.items()))
    print(f"embedding   float32 [{embedding.size}], norm {np.linalg.norm(embedding):.6f}")
    print(f"            {preview}  ...")
    if options.out:
        print(f"written     {options.out}")
