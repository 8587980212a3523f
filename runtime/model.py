"""What every opened model file is, whichever engine runs it: named signatures over checked arrays."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .tensors import Signature, TensorSpec

Arrays = Mapping[str, np.ndarray]
ANY = -1  # a dimension that the file leaves open


class EngineError(InputError):
    """The engine is missing, or the file or the arrays do not fit it."""


class Model(ABC):
    """One opened model file.

    Attributes:
        path: The file.
        signatures: What it can run, by name.
        tensors: By signature, the dtype and shape of each of its inputs and outputs; -1 = any size.
    """

    path: Path
    signatures: dict[str, Signature]
    tensors: dict[str, dict[str, TensorSpec]]

    def run(self, signature: str, arrays: Arrays) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: One of `signatures`.
            arrays: Its inputs by name, each of the exact dtype and shape in `tensors`.

        Returns:
            Its outputs by name, arrays of the caller's own.

        Raises:
            EngineError: Unknown signature, inputs of other names, dtypes or shapes, or the engine failed.
        """
        if signature not in self.signatures:
            raise EngineError(
                f"{self.path.name}: no signature {signature!r}; it has {', '.join(self.signatures)}"
            )
        self._check(signature, arrays)
        return self._call(signature, {name: np.ascontiguousarray(array) for name, array in arrays.items()})

    def _check(self, signature: str, arrays: Arrays) -> None:
        names = self.signatures[signature].inputs
        if arrays.keys() != set(names):
            given = ", ".join(arrays) or "nothing"
            raise EngineError(f"{self.path.name}: {signature} takes {', '.join(names)}, not {given}")
        for name in names:
            spec, array = self.tensors[signature][name], arrays[name]
            if not isinstance(array, np.ndarray) or not fits(spec, array.dtype.name, array.shape):
                found = describe(array) if isinstance(array, np.ndarray) else type(array).__name__
                raise EngineError(
                    f"{self.path.name}: {signature}: {name} must be {describe(spec)}, not {found}"
                )
        lengths = {
            size
            for name in names
            for open_size, size in zip(self.tensors[signature][name].shape, arrays[name].shape, strict=True)
            if open_size == ANY
        }
        if lengths and (len(lengths) > 1 or 0 in lengths):
            raise EngineError(
                f"{self.path.name}: {signature}: {' and '.join(names)} must have one length, at least 1, "
                f"not {' and '.join(map(str, sorted(lengths)))}"
            )

    @abstractmethod
    def _call(self, signature: str, arrays: Arrays) -> dict[str, np.ndarray]: ...


def fits(spec: TensorSpec, dtype: str, shape: tuple[int, ...]) -> bool:
    """Whether a dtype and shape are what a spec asks for."""
    same = len(shape) == len(spec.shape) and all(
        a in (b, ANY) for a, b in zip(spec.shape, shape, strict=True)
    )
    return same and dtype == spec.dtype


def describe(tensor: Any) -> str:
    """A spec or an array as "float32 [1, 256]"."""
    sizes = ", ".join("any" if size == ANY else str(size) for size in tensor.shape)
    return f"{tensor.dtype} [{sizes}]"
