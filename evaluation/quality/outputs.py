"""Runs an engine on everything that is measured: each screen and each text once."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.quality.candidates import candidate_sets
from evaluation.quality.split import TestSplit
from evaluation.quality.texts import TextTower, run_in_batches, run_one_by_one
from evaluation.sources import ROOT, sources_digest
from runtime.bundle import REGION_MASKS, SIGNATURES, Bundle, TensorSpec, file_sha256, select_files
from runtime.engines import Engine
from runtime.files import forget_oldest, write_atomically
from runtime.metrics import normalized
from runtime.parity import GOLDEN, load_golden
from runtime.preprocess import load_image
from runtime.tokenizers import Tokenizer
from runtime.user import bound_norm

CACHE = Path(os.environ.get("POCKET_CACHE") or ROOT / "build") / "quality"
KEPT = 24
"""Engines' outputs that are kept, the latest used: 10 MB each for 800 screens, 17 with masks."""
CONDITIONS = ("all", "no screen", "no text", "no user")
"""What the encoder is given. No screen is a mid-grey one, no text is "", no user is zeros."""
GREY = 128

OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Models:
    """Exported files, and what comes with them.

    Attributes:
        folder: of the files.
        files: name -> entry with engine, precision and signatures.
        tensors: the public tensors.
        tokenizer: of the text tower.
        golden: inputs and PyTorch's outputs of the parity screens.
        max_user_norm: length that the bundle's users scale longer user vectors down to.
        text_tower: PyTorch's, which stands in for that of float files: it computes the same in a third of the
            time. None: each file runs its own.
    """

    folder: Path
    files: Mapping[str, Mapping[str, Any]]
    tensors: Mapping[str, TensorSpec]
    tokenizer: Tokenizer
    golden: Mapping[str, np.ndarray]
    max_user_norm: float
    text_tower: TextTower | None = None

    @classmethod
    def of_bundle(cls, bundle: Bundle, engines: list[tuple[str, str]]) -> Models:
        """The files of a bundle, after checking those that are to be run.

        Raises:
            BundleError: a file is missing or altered.
        """
        for engine, precision in engines:
            for name in select_files(bundle.files, engine, precision).values():
                bundle.file(name)
        golden = load_golden(bundle.file(GOLDEN), bundle.tensors)
        tokenizer = bundle.open_tokenizer()
        return cls(bundle.path, bundle.files, bundle.tensors, tokenizer, golden, bundle.max_user_norm)


@dataclass(frozen=True)
class Work:
    """What every engine is given, prepared once.

    Attributes:
        screens: the screens' files.
        size: height and width of the images that the encoder takes.
        users: float32 [N, U], as long as an app would pass them on.
        typed: of each sample, the position of its text in `texts`.
        texts: every text once; the first is "".
        tokens: of each text, its ids and attention mask, int32 [1, L] each.
        candidates: int64 [N, C], positions in `texts`; the right one first.
    """

    screens: tuple[Path, ...]
    size: tuple[int, int]
    users: np.ndarray
    typed: np.ndarray
    texts: tuple[str, ...]
    tokens: tuple[dict[str, np.ndarray], ...]
    candidates: np.ndarray

    @functools.cached_property
    def images(self) -> np.ndarray:
        """The screens, uint8 [N + 1, H, W, 3], read when they are first needed; the last one is grey.

        Raises:
            ImageError: a screen cannot be read.
        """
        images = [load_image(path, self.size) for path in self.screens]
        return np.stack([*images, np.full((*self.size, 3), GREY, np.uint8)])

    def positions(self, texts: Iterable[str]) -> np.ndarray:
        """Where some texts are in `texts`, int64."""
        place = {text: index for index, text in enumerate(self.texts)}
        return np.array([place[text] for text in texts], np.int64)


@dataclass(frozen=True)
class Outputs:
    """What an engine made of it.

    Attributes:
        embeddings: float32 [4, N, D], one block for each of CONDITIONS.
        texts: float32 [T, D], L2-normalized text tokens.
        golden: float32 [G, D], embeddings of the parity screens.
        masks: float32 [N, 4, h, w], where the regions were found; empty where the encoder has fixed ones.
    """

    embeddings: np.ndarray
    texts: np.ndarray
    golden: np.ndarray
    masks: np.ndarray


def prepare(models: Models, split: TestSplit) -> Work:
    """Chooses the candidates and tokenizes every text once.

    Raises:
        InputError: there are not enough candidates.
    """
    _, height, width, _ = models.tensors["image"].shape
    sets = candidate_sets(split.samples)
    captions = [caption for texts in split.captions.values() for caption in texts]
    typed = [sample.text for sample in split.samples]
    texts = tuple(
        dict.fromkeys(["", *typed, *(t for chosen in sets for t in chosen), *captions, *split.sentences])
    )
    place = {text: index for index, text in enumerate(texts)}
    encoded = (models.tokenizer.encode(text) for text in texts)
    _, length = models.tensors["user"].shape
    users = [np.zeros(length) if sample.user is None else sample.user for sample in split.samples]
    return Work(
        screens=tuple(sample.image for sample in split.samples),
        size=(height, width),
        users=bound_norm(np.array(users, np.float32), models.max_user_norm),
        typed=np.array([place[text] for text in typed], np.int64),
        texts=texts,
        tokens=tuple({"input_ids": ids[None], "attention_mask": mask[None]} for ids, mask in encoded),
        candidates=np.array([[place[text] for text in chosen] for chosen in sets], np.int64),
    )


def run_all(
    models: Models,
    work: Work,
    engines: list[tuple[str, str]],
    split_sha256: str,
    on_progress: OnProgress = lambda done, total, what: None,
) -> dict[tuple[str, str], Outputs]:
    """Runs engines, as many at a time as there are processors; outputs that are known are read again.

    Args:
        models: the exported files.
        work: of `prepare`.
        engines: (engine, precision) pairs.
        split_sha256: of the test split.
        on_progress: called with runs done, runs in all, and the engine; never twice at once.

    Raises:
        EngineError: an engine is not installed or cannot open its file.
        ImageError: a screen cannot be read.
    """
    each = (
        len(work.images) + len(work.texts) + len(CONDITIONS) * len(work.users) + len(models.golden["image"])
    )
    done, lock, stopped = dict.fromkeys(engines, 0), threading.Lock(), threading.Event()

    def outputs_of(pair: tuple[str, str]) -> Outputs:
        def advance(runs: int) -> None:
            if stopped.is_set():
                raise CancelledError
            with lock:
                done[pair] += runs
                on_progress(sum(done.values()), len(engines) * each, " ".join(pair))

        paths = {s: models.folder / n for s, n in select_files(models.files, *pair).items()}
        tower = models.text_tower if pair[1] == "fp32" else None
        key = _key(models, work, paths, [split_sha256, tower is not None])
        outputs = _load(key)
        if outputs is None:

            def run_texts() -> list[np.ndarray]:
                if tower:
                    return run_in_batches(tower, work.tokens, advance)
                return run_one_by_one(Engine(paths, 1, models.tensors), work.tokens, advance)

            outputs = _run(Engine(paths, 1, models.tensors), run_texts, work, models.golden, advance)
            _store(key, outputs)
        else:
            advance(each)
        return outputs

    # An engine computes on one thread and lets Python's others run meanwhile.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            return dict(zip(engines, pool.map(outputs_of, engines), strict=True))
        except BaseException:  # Ctrl-C, or an engine that fails: the others need not end first
            stopped.set()
            raise


def _run(
    engine: Engine,
    run_texts: Callable[[], list[np.ndarray]],
    work: Work,
    golden: Mapping[str, np.ndarray],
    advance: Callable[[int], None],
) -> Outputs:
    with ThreadPoolExecutor(1) as pool:  # the texts beside the screens, on an engine of their own
        texts = pool.submit(run_texts)
        seen = []
        for image in work.images:
            seen.append(engine.run("vision", {"image": image[None]}))
            advance(1)
        tokens = texts.result()
    screens = [found["screen_tokens"] for found in seen]
    nobody = np.zeros_like(work.users[:1])
    blocks = []
    for condition in CONDITIONS:
        rows = []
        for index, (typed, user) in enumerate(zip(work.typed, work.users, strict=True)):
            arrays = {
                "screen_tokens": screens[-1 if condition == "no screen" else index],
                "text_token": tokens[0 if condition == "no text" else typed],
                "user": nobody if condition == "no user" else user[None],
            }
            rows.append(engine.run("fuse", arrays)["embedding"])
            advance(1)
        blocks.append(np.concatenate(rows))
    masks = [found[REGION_MASKS] for found in seen[:-1] if REGION_MASKS in found]
    return Outputs(
        embeddings=np.stack(blocks),
        texts=normalized(np.concatenate(tokens)[:, 0]).astype(np.float32),
        golden=_run_golden(engine, golden, advance),
        masks=np.concatenate(masks) if masks else np.zeros((0, 0, 0, 0), np.float32),
    )


def _run_golden(
    engine: Engine, golden: Mapping[str, np.ndarray], advance: Callable[[int], None]
) -> np.ndarray:
    """Returns the embeddings of the parity screens, [G, D]."""
    embeddings = []
    for row in range(len(golden["image"])):
        arrays = {name: golden[name][row : row + 1] for name in SIGNATURES["encode"].inputs}
        embeddings.append(engine.run("encode", arrays)["embedding"])
        advance(1)
    return np.concatenate(embeddings)


def _key(models: Models, work: Work, paths: Mapping[str, Path], rest: list) -> str:
    """A digest of all that the outputs depend on."""
    golden = hashlib.sha256(
        b"".join(models.golden[name].tobytes() for name in sorted(models.golden))
    ).hexdigest()
    ids = hashlib.sha256(b"".join(row["input_ids"].tobytes() for row in work.tokens)).hexdigest()
    users = hashlib.sha256(work.users.tobytes()).hexdigest()
    files = [[path.name, file_sha256(path)] for path in sorted(set(paths.values()))]
    parts = [rest, golden, ids, users, files, sources_digest(__name__)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _load(key: str) -> Outputs | None:
    path = CACHE / f"{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            outputs = Outputs(**arrays)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    os.utime(path)  # the longest unused is forgotten first
    return outputs


def _store(key: str, outputs: Outputs) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    write_atomically(CACHE / f"{key}.npz", lambda stream: np.savez(stream, **vars(outputs)))
    forget_oldest(CACHE.glob("*.npz"), keep=KEPT)
