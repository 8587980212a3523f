"""The precision plan: data that says which layers run in which precision.

A plan is a JSON file, `plans/PRESET.json`, or `plans/default.json` for whatever has none of its own:

    {"schema_version": 1,
     "tflite": {"arithmetic": "fp16", "calibration": "min_max",
                "rules": [{"layers": REGEX, "operators": [NAME, ...], "precision": PRECISION}, ...]},
     "onnx": {"operators": [TYPE, ...], "attention_products": "float", "exclude": [REGEX, ...],
              "seven_bit_weights": [SIGNATURE, ...], "calibration": "min_max"}}

`layers` is searched in a layer's name, which is the path of its PyTorch module; of the rules that match an
operator the last one counts, and an operator that none matches stays in float. A rule that matches no
operator is an error, but for the default plan, which has rules for every module that a slot offers.
Precisions:

- `static_int8`: weights and activations in INT8, with ranges from calibration.
- `dynamic_int8`: weights in INT8 per channel, activations quantized at run time.
- `weight_int8`, `weight_int4`: weights stored in 8 or 4 bits, looked up or expanded before use.
- `packed_int4`, `packed_int6`: a table of vectors stored in 4 or 6 bits a number, which every engine can look
  up (`packed_words.py`); for EMBEDDING_LOOKUP alone.
- `float`: float32, or fp16 where `arithmetic` is `fp16` and the CPU has it.

`calibration` takes the ranges of static activations over the calibration samples: `min_max` is the widest;
with `moving_average` each sample moves the range by a twentieth, so that one odd screen does not widen it.

In ONNX, `operators` are quantized statically, but for those where `exclude` finds the name of a weight, which
is the PyTorch module's, or the signature with the operator's type, such as `fuse/MatMul`.
`attention_products` says whether a MatMul of two activations is among them (`int8`) or not (`float`).
`seven_bit_weights` names signatures whose INT8 weights use seven bits: ONNX Runtime's x86 kernel for products
of a single row saturates with eight where the CPU has no VNNI.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runtime.bundle import PARTS

PLAN_VERSION = 1
PRECISIONS = (
    "static_int8",
    "dynamic_int8",
    "weight_int8",
    "weight_int4",
    "packed_int4",
    "packed_int6",
    "float",
)
ARITHMETIC = ("fp32", "fp16")
CALIBRATIONS = ("min_max", "moving_average")
PLANS = Path(__file__).parent / "plans"


class PlanError(ValueError):
    """A plan that cannot be carried out; the message names the file, the entry and the valid values."""


@dataclass(frozen=True)
class Rule:
    """Gives the operators of some layers a precision."""

    layers: str
    operators: tuple[str, ...]
    precision: str


@dataclass(frozen=True)
class TflitePlan:
    """What the .tflite is quantized by."""

    arithmetic: str
    calibration: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class OnnxPlan:
    """What the ONNX files are quantized by."""

    operators: tuple[str, ...]
    attention_products: str
    exclude: tuple[str, ...]
    seven_bit_weights: tuple[str, ...]
    calibration: str


@dataclass(frozen=True)
class Plan:
    """Precisions for both formats; `general` where rules may match nothing."""

    tflite: TflitePlan
    onnx: OnnxPlan
    general: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns the JSON form."""
        return {"schema_version": PLAN_VERSION, "tflite": asdict(self.tflite), "onnx": asdict(self.onnx)}


def load_plan(preset: str, path: Path | None = None) -> Plan:
    """Reads the plan at `path`, or the preset's own, or the default one.

    Raises:
        PlanError: the file is missing, is not JSON, or has unknown keys or values.
    """
    general = path is None and not (PLANS / f"{preset}.json").exists()
    if path is None:
        path = PLANS / ("default.json" if general else f"{preset}.json")
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        raise PlanError(f"{path}: no such plan file") from None
    except (OSError, ValueError) as error:
        raise PlanError(f"{path}: not a JSON file: {error}") from error
    return _parse(values, path, general)


def _parse(values: Any, path: Path, general: bool) -> Plan:
    _keys(values, ("schema_version", "tflite", "onnx"), f"{path}")
    if values["schema_version"] != PLAN_VERSION:
        raise PlanError(
            f"{path}: schema_version {values['schema_version']!r}; this version reads {PLAN_VERSION}"
        )
    tflite, onnx = values["tflite"], values["onnx"]
    _keys(tflite, tuple(TflitePlan.__annotations__), f"{path}: tflite")
    _keys(onnx, tuple(OnnxPlan.__annotations__), f"{path}: onnx")
    _one_of(tflite["arithmetic"], ARITHMETIC, f"{path}: tflite.arithmetic")
    _one_of(tflite["calibration"], CALIBRATIONS, f"{path}: tflite.calibration")
    _one_of(onnx["attention_products"], ("float", "int8"), f"{path}: onnx.attention_products")
    for part in onnx["seven_bit_weights"]:
        _one_of(part, PARTS, f"{path}: onnx.seven_bit_weights")
    _one_of(onnx["calibration"], CALIBRATIONS, f"{path}: onnx.calibration")
    rules = tuple(_rule(rule, f"{path}: tflite.rules[{index}]") for index, rule in enumerate(tflite["rules"]))
    return Plan(
        TflitePlan(tflite["arithmetic"], tflite["calibration"], rules),
        OnnxPlan(
            operators=tuple(onnx["operators"]),
            attention_products=onnx["attention_products"],
            exclude=tuple(onnx["exclude"]),
            seven_bit_weights=tuple(onnx["seven_bit_weights"]),
            calibration=onnx["calibration"],
        ),
        general,
    )


def _rule(values: Any, where: str) -> Rule:
    _keys(values, tuple(Rule.__annotations__), where)
    _one_of(values["precision"], PRECISIONS, f"{where}.precision")
    precision = values["precision"]
    if precision.startswith("packed") and values["operators"] != ["EMBEDDING_LOOKUP"]:
        raise PlanError(f"{where}: {precision} is for EMBEDDING_LOOKUP alone, not {values['operators']}")
    return Rule(values["layers"], tuple(values["operators"]), values["precision"])


def _keys(values: Any, expected: tuple[str, ...], where: str) -> None:
    if not isinstance(values, dict) or set(values) != set(expected):
        raise PlanError(f"{where}: must be an object with exactly the keys {', '.join(expected)}")


def _one_of(value: Any, valid: tuple[str, ...], where: str) -> None:
    if value not in valid:
        raise PlanError(f"{where} is {value!r}; valid: {', '.join(valid)}")
