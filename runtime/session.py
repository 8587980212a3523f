"""The encoder as an app uses it: the screen once, then the text on every keystroke."""

import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .bundle import Bundle
from .engines import Engine, open_engine
from .errors import InputError
from .lock import CallLock
from .preprocess import load_image
from .tensors import REGION_MASKS, REGION_NAMES
from .user import bound_norm, check_user
from .weight_cache import default_folder


class NoScreenError(RuntimeError):
    """A text was to be encoded before any screen was."""


class RegionsError(RuntimeError):
    """The bundle's model does not find regions."""


class CandidatesError(InputError):
    """The candidates cannot be ranked."""


class Ranked(NamedTuple):
    """A candidate text and how well it fits the context: a cosine in [-1, 1]."""

    candidate: str
    score: float


CACHED_CANDIDATES = 4096
"""Candidates whose embeddings an encoder keeps, the most recently used: 4 MB at 256 numbers each."""


class ScreenEncoder:
    """Turns screenshots, typed text and a user vector into embeddings.

    Threads may share one: its calls wait for each other. `encode` is one call, but the last screen is
    everyone's: between a thread's `encode_screen` and its `encode_text` another thread may encode its own.
    Where threads look at different screens, give each an encoder of its own.

    An encoder of one thread (`threads=1`) works in a forked process; one of more raises `ForkedError` there.

    Example:
        encoder = ScreenEncoder.load("dist/balanced")
        encoder.encode_screen("screenshot.png")        # when the screen changes
        embedding = encoder.encode_text("see you at")  # on a keystroke
        best, *others = encoder.rank(None, "see you at", ["the station", "the airport"])
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.bundle = bundle
        self._engine = engine
        self._lock = CallLock(engine.threads)
        self._tokenizer = bundle.open_tokenizer()
        self._screen_tokens: np.ndarray | None = None
        self._candidates: OrderedDict[str, np.ndarray] = OrderedDict()  # the most recently used last

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        engine: str = "tflite",
        precision: str = "int8",
        threads: int = 1,
        *,
        weight_cache: str | os.PathLike | bool = True,
    ) -> "ScreenEncoder":
        """Opens an exported bundle.

        Args:
            path: The bundle's folder.
            engine: "tflite" (LiteRT) or "onnx" (ONNX Runtime).
            precision: "int8", what ships, or "fp32".
            threads: Threads that a run may use.
            weight_cache: Folder that keeps the weights as LiteRT packs them, to be mapped instead of held in
                private memory; True = $POCKET_WEIGHT_CACHE or ~/.cache/pocket-encoder, False = none.
                Where it cannot be written or read, the encoder does without.

        Raises:
            BundleError: Not a bundle, or one with a missing or altered file, or of another schema_version.
            EngineError: The engine is not installed or cannot open the file.
        """
        bundle = Bundle.load(path)
        if isinstance(weight_cache, bool):
            folder = default_folder() if weight_cache else None
        else:
            folder = Path(weight_cache).absolute()
        return cls(bundle, open_engine(bundle, engine, precision, threads, folder))

    def encode(
        self, image: object, text: str, user: Sequence[float] | np.ndarray | None = None
    ) -> np.ndarray:
        """Encodes a screen and a text; the screen is kept for `encode_text`.

        Args:
            image: A path, a PIL image or a uint8 array [h, w, 3], RGB, of any size.
            text: What the user has typed so far, of any length.
            user: The app's user vector, [64] finite numbers of any length; None = unknown user. One longer
                than the bundle's `max_user_norm` is scaled down to it.

        Returns:
            float32 [256], L2-normalized.

        Raises:
            ImageError: The image cannot be read.
            TokenizerError: The text is not a string.
            UserVectorError: The user vector has another length or a number that is not finite.
        """
        with self._lock:
            ids = self._tokens(text)
            vector = self._user(user)
            self._run_vision(image)
            return self._fuse(ids, vector)

    def encode_screen(self, image: object) -> np.ndarray:
        """Encodes a screen and keeps it for the texts that follow.

        Args:
            image: As for `encode`. Where it cannot be read, no screen is kept.

        Returns:
            The screen's tokens, float32 [5, 256].

        Raises:
            ImageError: The image cannot be read.
        """
        with self._lock:
            return self._run_vision(image)["screen_tokens"][0].copy()

    def encode_screens(self, images: Iterable[object]) -> np.ndarray:
        """Encodes many screens, as of an archive; the screen that is kept for texts stays.

        Args:
            images: Each as for `encode`; one is read at a time.

        Returns:
            Their tokens, float32 [N, 5, 256].

        Raises:
            ImageError: An image cannot be read.
        """
        found = []
        for image in images:
            pixels = load_image(image, self.bundle.image_size)
            with self._lock:
                found.append(self._engine.run("vision", {"image": pixels[None]})["screen_tokens"])
        return (
            np.concatenate(found)
            if found
            else np.zeros((0, *self.bundle.tensors["screen_tokens"].shape[1:]), np.float32)
        )

    def regions(self, image: object) -> dict[str, np.ndarray]:
        """Finds the parts of a screen, and keeps it for the texts that follow, as `encode_screen` does.

        Args:
            image: As for `encode`. Where it cannot be read, no screen is kept.

        Returns:
            title, input, keyboard and status: a soft mask each over the whole screen, float32 [h, w], from 0,
            outside, to 1, inside.

        Raises:
            RegionsError: The bundle's model has fixed regions.
            ImageError: The image cannot be read.
        """
        if REGION_MASKS not in self.bundle.tensors:
            method = self.bundle.manifest["config"].get("roi_method", "fixed_grid")
            raise RegionsError(
                f"{self.bundle.path}: its regions are fixed (roi_method {method}); "
                "export a preset that finds them, such as balanced_sam"
            )
        with self._lock:
            return dict(zip(REGION_NAMES, self._run_vision(image)[REGION_MASKS][0].copy(), strict=True))

    def _run_vision(self, image: object) -> dict[str, np.ndarray]:
        """Runs `vision` and keeps the screen's tokens."""
        self._screen_tokens = None
        pixels = load_image(image, self.bundle.image_size)
        outputs = self._engine.run("vision", {"image": pixels[None]})
        self._screen_tokens = outputs["screen_tokens"]
        return outputs

    def encode_text(self, text: str, user: Sequence[float] | np.ndarray | None = None) -> np.ndarray:
        """Encodes a text on the last screen.

        Args:
            text: As for `encode`.
            user: As for `encode`.

        Returns:
            float32 [256], L2-normalized.

        Raises:
            NoScreenError: No screen was encoded yet.
            TokenizerError: The text is not a string.
            UserVectorError: The user vector has another length or a number that is not finite.
        """
        with self._lock:
            if self._screen_tokens is None:
                raise NoScreenError("no screen yet: call encode_screen(image) once before encode_text(text)")
            return self._fuse(self._tokens(text), self._user(user))

    def text_embedding(self, text: str) -> np.ndarray:
        """The text token alone, without a screen or a user, to compare texts with each other.

        Args:
            text: As for `encode`.

        Returns:
            float32 [256], L2-normalized.

        Raises:
            TokenizerError: The text is not a string.
        """
        with self._lock:
            token = self._engine.text(**self._tokens(text))[0, 0]
        return token / np.float32(max(float(np.linalg.norm(token)), 1e-12))

    def text_embeddings(self, texts: Iterable[str]) -> np.ndarray:
        """Does for many texts what `text_embedding` does for one; short ones cost less than long ones.

        Args:
            texts: Each as for `encode`.

        Returns:
            float32 [N, 256], each row L2-normalized.

        Raises:
            TokenizerError: A text is not a string.
        """
        found = [self.text_embedding(text) for text in texts]
        return (
            np.stack(found) if found else np.zeros((0, self.bundle.tensors["embedding"].shape[1]), np.float32)
        )

    def rank(
        self,
        image: object | None,
        text: str,
        candidates: Iterable[str],
        user: Sequence[float] | np.ndarray | None = None,
    ) -> list[Ranked]:
        """Sorts texts by how well they fit what is on the screen, what was typed and who types.

        The embeddings of the candidates are kept, so that the same candidates cost nothing the next time.

        Args:
            image: As for `encode`; None = the last screen.
            text: As for `encode`.
            candidates: Texts, at least one.
            user: As for `encode`.

        Returns:
            Every candidate with the cosine of its text token and the embedding, best first; equal ones in the
            given order.

        Raises:
            CandidatesError: No candidates, or one that is not a string.
            NoScreenError: The image is None, and no screen was encoded yet.
            ImageError, TokenizerError, UserVectorError: As for `encode`.
        """
        texts = check_candidates(candidates)
        with self._lock:
            embedding = self.encode_text(text, user) if image is None else self.encode(image, text, user)
            tokens = np.stack([self._candidate(candidate) for candidate in texts])  # [N, 256]
        scores = np.clip(tokens.astype(np.float64) @ embedding.astype(np.float64), -1, 1)
        order = np.argsort(-scores, kind="stable")
        return [Ranked(texts[index], float(scores[index])) for index in order]

    def _candidate(self, text: str) -> np.ndarray:
        """A candidate's embedding, from memory where it is there."""
        if text in self._candidates:
            self._candidates.move_to_end(text)
            return self._candidates[text]
        embedding = self._candidates[text] = self.text_embedding(text)
        if len(self._candidates) > CACHED_CANDIDATES:
            self._candidates.popitem(last=False)
        return embedding

    def _fuse(self, ids: dict[str, np.ndarray], user: np.ndarray) -> np.ndarray:
        text_token = self._engine.text(**ids)
        arrays = {"screen_tokens": self._screen_tokens, "text_token": text_token, "user": user}
        return self._engine.run("fuse", arrays)["embedding"][0]

    def _tokens(self, text: str) -> dict[str, np.ndarray]:
        input_ids, attention_mask = self._tokenizer.encode(text)
        return {"input_ids": input_ids[None], "attention_mask": attention_mask[None]}

    def _user(self, user: Sequence[float] | np.ndarray | None) -> np.ndarray:
        shape = self.bundle.tensors["user"].shape
        if user is None:
            return np.zeros(shape, np.float32)
        return bound_norm(check_user(user, shape[1]), self.bundle.max_user_norm)[None]


def check_candidates(candidates: Iterable[str]) -> list[str]:
    """Candidate texts as a list.

    Raises:
        CandidatesError: Not several strings, or none at all.
    """
    if isinstance(candidates, str) or not isinstance(candidates, Iterable):
        raise CandidatesError(f"candidates must be a list of texts, not {type(candidates).__name__}")
    texts = list(candidates)
    if not texts:
        raise CandidatesError("no candidates to rank: give at least one text")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise CandidatesError(
                f"candidates must be texts; the one at position {position} is {type(text).__name__}"
            )
    return texts
