"""The quantization recipe: data that says which layers run in which precision.

A recipe is a JSON file, `recipes/PRESET.json`, or `recipes/default.json` for whatever has none of its own:

    {"schema_version": 1,
     "tflite": {"arithmetic": "fp16", "calibration": "percentile",
                "rules": [{"layers": REGEX, "operators": [NAME, ...], "precision": PRECISION}, ...]},
     "onnx": {"operators": [TYPE, ...], "attention_products": "float", "exclude": [REGEX, ...],
              "reduce_range": [SIGNATURE, ...], "calibration": "percentile"}}

`layers` is searched in a layer's name, which is the path of its PyTorch module; of the rules that match an
operator the last one counts, and an operator that none matches stays in float. A rule that matches no
operator is an error, but for the default recipe, which has rules for every module that a slot offers. An
expression may hold two of `*` and `+`, and no repeat within a repeat: on names as long, more takes ages.
Precisions, each for the operators that `operators.py` lists:

- `static_int8`: weights and activations in INT8, with ranges from calibration.
- `dynamic_int8`: weights in INT8 per channel, activations quantized at run time.
- `weight_int8`, `weight_int4`: weights stored in 8 or 4 bits, looked up or expanded before use.
- `packed_int4`, `packed_int6`: a table of vectors stored in 4 or 6 bits a number, which every engine can look
  up (`packed_words.py`); for EMBEDDING_LOOKUP alone.
- `float`: float32, or fp16 where `arithmetic` is `fp16` and the CPU has it.

`calibration` takes the ranges of static activations over the calibration samples: `min_max` is the widest,
`percentile` leaves out one value in 100,000 at either end.

In ONNX, `operators` are quantized statically, but for those where `exclude` finds the name of a weight, which
is the PyTorch module's, or the signature with the operator's type, such as `fuse/MatMul`.
`attention_products` says whether a MatMul of two activations is among them (`int8`) or not (`float`).
`reduce_range` names signatures whose INT8 weights use seven bits: ONNX Runtime's x86 kernel for products
of a single row saturates with eight where the CPU has no VNNI.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from export.quantize.expressions import problem
from export.quantize.operators import ONNX_OPERATORS, OPERATORS
from export.quantize.ranges import LEFT_OUT
from runtime.bundle import PARTS
from runtime.json_text import quoted, read_json

RECIPE_VERSION = 1
ARITHMETIC = ("fp32", "fp16")
RECIPES = Path(__file__).parent / "recipes"


class RecipeError(ValueError):
    """A recipe that cannot be carried out; the message names the file, the entry and the valid values."""


@dataclass(frozen=True)
class Rule:
    """Gives the operators of some layers a precision."""

    layers: str
    operators: tuple[str, ...]
    precision: str


@dataclass(frozen=True)
class TfliteRecipe:
    """What the .tflite is quantized by."""

    arithmetic: str
    calibration: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class OnnxRecipe:
    """What the ONNX files are quantized by."""

    operators: tuple[str, ...]
    attention_products: str
    exclude: tuple[str, ...]
    reduce_range: tuple[str, ...]
    calibration: str


@dataclass(frozen=True)
class Recipe:
    """Precisions for both formats; `general` where rules may match nothing."""

    tflite: TfliteRecipe
    onnx: OnnxRecipe
    general: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns the JSON form."""
        return {"schema_version": RECIPE_VERSION, "tflite": asdict(self.tflite), "onnx": asdict(self.onnx)}


def load_recipe(preset: str, path: Path | None = None) -> Recipe:
    """Reads the recipe at `path`, or the preset's own, or the default one.

    Raises:
        RecipeError: the file is missing, is not JSON, or has unknown keys or values; the message names
            the file, the rule and the field.
    """
    general = path is None and not (RECIPES / f"{preset}.json").exists()
    if path is None:
        path = RECIPES / ("default.json" if general else f"{preset}.json")
    return _parse(read_json(path, RecipeError, "recipe file"), f"{path}", general)


def _parse(values: Any, where: str, general: bool) -> Recipe:
    _keys(values, ("schema_version", "tflite", "onnx"), where)
    version = values["schema_version"]
    if type(version) is not int or version != RECIPE_VERSION:
        raise RecipeError(
            f"{where}: schema_version is {quoted(version)}; this version reads {RECIPE_VERSION}"
        )
    return Recipe(
        _tflite(values["tflite"], f"{where}: tflite"), _onnx(values["onnx"], f"{where}: onnx"), general
    )


def _tflite(values: Any, where: str) -> TfliteRecipe:
    _keys(values, tuple(TfliteRecipe.__annotations__), where)
    rules = values["rules"]
    if not isinstance(rules, list):
        raise RecipeError(f"{where}.rules is {quoted(rules)}; it must be a list of rules")
    return TfliteRecipe(
        arithmetic=_one_of(values["arithmetic"], ARITHMETIC, f"{where}.arithmetic"),
        calibration=_one_of(values["calibration"], tuple(LEFT_OUT), f"{where}.calibration"),
        rules=tuple(_rule(rule, f"{where}.rules[{index}]") for index, rule in enumerate(rules)),
    )


def _rule(values: Any, where: str) -> Rule:
    _keys(values, tuple(Rule.__annotations__), where)
    precision = _one_of(values["precision"], tuple(OPERATORS), f"{where}.precision")
    operators = _some_of(values["operators"], OPERATORS[precision], f"{where}.operators", f" for {precision}")
    if not operators:
        raise RecipeError(f"{where}.operators is empty; it must name at least one")
    return Rule(_expression(values["layers"], f"{where}.layers"), operators, precision)


def _onnx(values: Any, where: str) -> OnnxRecipe:
    _keys(values, tuple(OnnxRecipe.__annotations__), where)
    operators = _some_of(values["operators"], ONNX_OPERATORS, f"{where}.operators")
    if not operators:  # which ONNX Runtime would take for all
        raise RecipeError(f"{where}.operators is empty; it must name at least one")
    exclude = values["exclude"]
    if not isinstance(exclude, list):
        raise RecipeError(f"{where}.exclude is {quoted(exclude)}; it must be a list of expressions")
    return OnnxRecipe(
        operators=operators,
        attention_products=_one_of(
            values["attention_products"], ("float", "int8"), f"{where}.attention_products"
        ),
        exclude=tuple(_expression(item, f"{where}.exclude[{index}]") for index, item in enumerate(exclude)),
        reduce_range=_some_of(values["reduce_range"], PARTS, f"{where}.reduce_range"),
        calibration=_one_of(values["calibration"], tuple(LEFT_OUT), f"{where}.calibration"),
    )


def _keys(values: Any, expected: tuple[str, ...], where: str) -> None:
    if not isinstance(values, dict) or set(values) != set(expected):
        raise RecipeError(f"{where}: must be an object with exactly the keys {', '.join(expected)}")


def _one_of(value: Any, valid: tuple[str, ...], where: str, what: str = "") -> str:
    if not isinstance(value, str) or value not in valid:
        raise RecipeError(f"{where} is {quoted(value)}; valid{what}: {', '.join(valid)}")
    return value


def _some_of(values: Any, valid: tuple[str, ...], where: str, what: str = "") -> tuple[str, ...]:
    if not isinstance(values, list):
        raise RecipeError(f"{where} is {quoted(values)}; it must be a list; valid{what}: {', '.join(valid)}")
    return tuple(_one_of(value, valid, f"{where}[{index}]", what) for index, value in enumerate(values))


def _expression(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise RecipeError(f"{where} is {quoted(value)}; it must be an expression over layers' names")
    wrong = problem(value)
    if wrong:
        raise RecipeError(f"{where} is {quoted(value)}; it {wrong}")
    return value
