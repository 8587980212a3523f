"""How far what should not matter moves an embedding: INT8, and changes of the screen that nobody sees.

The second is the floor of the first: no quantization is asked to be steadier than the float encoder itself.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evaluation.quality.metrics import tail
from evaluation.quality.outputs import OnProgress
from evaluation.quality.tables import ENGINE_NAMES, FIDELITY_FIGURES, Table, figure_text
from runtime.bundle import Bundle, select_files
from runtime.engines import Engine
from runtime.metrics import mean_centred_cosine
from runtime.preprocess import load_image
from runtime.tokenizers import Tokenizer

FLOAT = ("tflite", "fp32")
INT8 = (("tflite", "int8"), ("onnx", "int8"))
JPEG_QUALITY = 80
CLOCK = (0.012, 0.028), (0.08, 0.11)
"""Where a letter of the clock stands: top and bottom, left and right, as parts of the screen."""


def moved(image: np.ndarray, pixels: int) -> np.ndarray:
    """Moves a screen up, uint8 [H, W, 3]; its last row comes again."""
    return np.concatenate([image[pixels:], np.repeat(image[-1:], pixels, axis=0)])


def as_jpeg(image: np.ndarray) -> np.ndarray:
    """Returns what a JPEG file of a screen holds, uint8 [H, W, 3]."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(stream).convert("RGB"))


def other_letter(image: np.ndarray) -> np.ndarray:
    """Puts the letter beside it in the place of a letter of the clock, uint8 [H, W, 3]."""
    (top, bottom), (left, right) = (
        (round(low * side), max(round(high * side), round(low * side) + 1))
        for (low, high), side in zip(CLOCK, image.shape, strict=False)
    )
    changed = image.copy()
    changed[top:bottom, left:right] = image[top:bottom, 2 * left - right : left]
    return changed


CHANGES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "moved by 1 pixel": lambda image: moved(image, 1),
    "moved by 2 pixels": lambda image: moved(image, 2),
    f"JPEG, quality {JPEG_QUALITY}": as_jpeg,
    "a letter of the clock": other_letter,
}
"""Of the image that the encoder takes."""


def measure(bundle: Bundle, screens: Sequence[Path], on_progress: OnProgress) -> list[dict[str, Any]]:
    """Measures how near embeddings of screens, alone, stay to those of the float `.tflite`.

    Args:
        bundle: opened.
        screens: image files, at least two.
        on_progress: called with embeddings done, embeddings in all, and what runs.

    Returns:
        A row for each INT8 engine and each of CHANGES: `name`, n, worst, p1, p5 and mean of the mean-centred
        cosines, and `worst_sample`, a file's name.

    Raises:
        InputError: an image cannot be read, or an engine is missing.
    """
    _, height, width, _ = bundle.tensors["image"].shape
    images = [load_image(path, (height, width)) for path in screens]
    total, done = len(images) * (1 + len(INT8) + len(CHANGES)), 0

    def embeddings(embed: Callable[[np.ndarray], np.ndarray], seen: Iterator[np.ndarray], what: str):
        nonlocal done
        found = []
        for image in seen:
            found.append(embed(image))
            done += 1
            on_progress(done, total, what)
        return np.concatenate(found)

    exact = _embedder(bundle, *FLOAT)
    reference = embeddings(exact, iter(images), "float")
    rows = []
    for engine, precision in INT8:
        name = f"{ENGINE_NAMES[engine]} {precision.upper()}"
        found = embeddings(_embedder(bundle, engine, precision), iter(images), name)
        rows.append(_row(name, found, reference, screens))
    for name, change in CHANGES.items():
        rows.append(_row(f"float, {name}", embeddings(exact, map(change, images), name), reference, screens))
    return rows


def _embedder(bundle: Bundle, engine: str, precision: str) -> Callable[[np.ndarray], np.ndarray]:
    names = select_files(bundle.files, engine, precision)
    running = Engine({part: bundle.file(name) for part, name in names.items()}, 1, bundle.tensors)
    return embedder(running.run, bundle.open_tokenizer(), bundle.tensors["user"].shape)


def embedder(
    run: Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]],
    tokenizer: Tokenizer,
    users: tuple[int, ...],
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns what maps an image, uint8 [H, W, 3], without text or user to its embedding, float32 [1, D].

    Args:
        run: runs a signature on its inputs.
        tokenizer: of the text tower.
        users: shape of a user vector.
    """
    ids, mask = tokenizer.encode("")
    token = run("text", {"input_ids": ids[None], "attention_mask": mask[None]})["text_token"]
    user = np.zeros(users, np.float32)

    def embed(image: np.ndarray) -> np.ndarray:
        screen = run("vision", {"image": image[None]})["screen_tokens"]
        return run("fuse", {"screen_tokens": screen, "text_token": token, "user": user})["embedding"]

    return embed


def _row(name: str, found: np.ndarray, reference: np.ndarray, screens: Sequence[Path]) -> dict[str, Any]:
    low = tail(mean_centred_cosine(found, reference))._asdict()
    return {"name": name, **low, "worst_sample": screens[low.pop("place")].name}


def table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """The rows of `measure` as people read them."""
    lines = tuple(
        (
            row["name"],
            str(row["n"]),
            *(figure_text(row[key]) for key in FIDELITY_FIGURES),
            row["worst_sample"],
        )
        for row in rows
    )
    return Table(title, ("", "n", *FIDELITY_FIGURES.values(), "the worst one"), lines)
