"""Recipes as users write them: a bad one is refused in one line, before any work, and says where it is bad."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import time

import pytest

import encoder.modules
import export.passes
from export.__main__ import main
from export.quantize.expressions import LONGEST_NAME, problem
from export.quantize.operators import ONNX_OPERATORS, OPERATORS
from export.quantize.recipe import RECIPES, load_recipe
from export.request import digest, read_request
from tests.conftest import ROOT

BALANCED = json.loads((RECIPES / "balanced.json").read_text())
DEEP = "[" * 100_000 + "]" * 100_000
RULE = "tflite.rules[0]"
COMMITTED = sorted(path for path in RECIPES.glob("*.json") if not path.name.endswith(".search.json"))
MODEL_CODE = [
    importlib.import_module(name)
    for name in (
        *(f"{package.__name__}.{found.name}" for package in (encoder.modules, export.passes)
          for found in pkgutil.iter_modules(package.__path__)),
        "timm.layers", "timm.models.fastvit", "timm.models.mobilevit", "timm.models.byobnet",
        "transformers.models.bert.modeling_bert",
    )
]  # fmt: skip
"""Modules whose classes name the layers of a model file."""


def plan_with(*path_and_value: object) -> dict:
    """The preset's recipe with one value changed."""
    *path, key, value = path_and_value
    recipe = copy.deepcopy(BALANCED)
    part = recipe
    for step in path:
        part = part[step]
    part[key] = value
    return recipe


def rule(**fields: object) -> dict:
    return plan_with("tflite", "rules", 0, BALANCED["tflite"]["rules"][0] | fields)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (DEEP, "not valid JSON: nested too deep"),
        ("{", "not valid JSON: Expecting property name"),
        ("", "not valid JSON"),
        ([], "must be an object with exactly the keys schema_version, tflite, onnx"),
        ({"y" * 30_000: 1}, "must be an object with exactly the keys schema_version, tflite, onnx"),
        (plan_with("schema_version", True), "schema_version is True; this version reads 1"),
        (plan_with("schema_version", 1.0), "schema_version is 1.0; this version reads 1"),
        (plan_with("schema_version", "y" * 30_000), "schema_version is 'yyy"),
        (plan_with("tflite", None), "tflite: must be an object with exactly the keys arithmetic"),
        (plan_with("tflite", "arithmetic", ["fp16"]), "tflite.arithmetic is ['fp16']; valid: fp32, fp16"),
        (plan_with("tflite", "calibration", None), "tflite.calibration is None; valid: min_max, percentile"),
        (plan_with("tflite", "rules", None), "tflite.rules is None; it must be a list of rules"),
        (plan_with("tflite", "rules", {}), "tflite.rules is {}; it must be a list of rules"),
        (plan_with("tflite", "rules", 8), "tflite.rules is 8; it must be a list of rules"),
        (plan_with("tflite", "rules", [[]]), f"{RULE}: must be an object with exactly the keys layers"),
        (rule(layer=".*"), f"{RULE}: must be an object with exactly the keys layers"),
        (rule(layers=1e308), f"{RULE}.layers is 1e+308; it must be an expression"),
        (rule(layers=None), f"{RULE}.layers is None; it must be an expression"),
        (rule(layers=["a"]), f"{RULE}.layers is ['a']; it must be an expression"),
        (rule(layers="["), f"{RULE}.layers is '['; it is not a regular expression: unterminated character set"),
        (rule(layers="(" * 5000), f"{RULE}.layers is '((("),
        (rule(layers="a{99999999999}"), f"{RULE}.layers is 'a{{99999999999}}'; it is not a regular expression"),
        (rule(layers="[[a]"), f"{RULE}.layers is '[[a]'; it is not a regular expression: Possible nested set"),
        (rule(layers="(a+)+$"), f"{RULE}.layers is '(a+)+$'; it matches in over 10,000,000 ways"),
        (rule(operators=8), f"{RULE}.operators is 8; it must be a list; valid for static_int8: ADD"),
        (rule(operators=None), f"{RULE}.operators is None; it must be a list"),
        (rule(operators="CONV_2D"), f"{RULE}.operators is 'CONV_2D'; it must be a list"),
        (rule(operators=["CONV_2D", ["MUL"]]), f"{RULE}.operators[1] is ['MUL']; valid for static_int8: ADD"),
        (rule(operators=["CONV"]), f"{RULE}.operators[0] is 'CONV'; valid for static_int8: ADD"),
        (rule(operators=["*"]), f"{RULE}.operators[0] is '*'; valid for static_int8: ADD"),
        (rule(operators=[]), f"{RULE}.operators is empty; it must name at least one"),
        (rule(precision="weight_int4"), f"{RULE}.operators[1] is 'DEPTHWISE_CONV_2D'; valid for weight_int4: BATCH"),
        (rule(precision="packed_int6"), f"{RULE}.operators[0] is 'CONV_2D'; valid for packed_int6: EMBEDDING_LOOKUP"),
        (rule(precision="int3"), f"{RULE}.precision is 'int3'; valid: static_int8"),
        (rule(precision={}), f"{RULE}.precision is {{}}; valid: static_int8"),
        (plan_with("onnx", []), "onnx: must be an object with exactly the keys operators"),
        (plan_with("onnx", "operators", "Conv"), "onnx.operators is 'Conv'; it must be a list"),
        (plan_with("onnx", "operators", []), "onnx.operators is empty; it must name at least one"),
        (plan_with("onnx", "operators", ["Conv", "CONV_2D"]), "onnx.operators[1] is 'CONV_2D'; valid: Add"),
        (plan_with("onnx", "attention_products", True), "onnx.attention_products is True; valid: float, int8"),
        (plan_with("onnx", "exclude", "text"), "onnx.exclude is 'text'; it must be a list of expressions"),
        (plan_with("onnx", "exclude", ["a", "*"]), "onnx.exclude[1] is '*'; it is not a regular expression"),
        (plan_with("onnx", "exclude", [5]), "onnx.exclude[0] is 5; it must be an expression"),
        (plan_with("onnx", "reduce_range", None), "onnx.reduce_range is None; it must be a list"),
        (plan_with("onnx", "reduce_range", "text"), "onnx.reduce_range is 'text'; it must be a list"),
        (plan_with("onnx", "reduce_range", ["encode"]), "onnx.reduce_range[0] is 'encode'; valid: vision"),
        (plan_with("onnx", "calibration", 10**60), "onnx.calibration is 1000000000"),
    ],
)  # fmt: skip
def test_a_bad_recipe_is_one_line_before_any_work(tmp_path, capsys, recipe, said):
    path, out = tmp_path / "plan.json", tmp_path / "bundle"
    path.write_text(recipe if isinstance(recipe, str) else json.dumps(recipe))
    begin = time.perf_counter()
    code = main(["balanced", "--recipe", str(path), "--out", str(out)])
    took = time.perf_counter() - begin
    error = capsys.readouterr().err
    assert code == 2 and error.startswith(f"error: {path}: {said}"), error
    assert error.count("\n") == 1 and len(error) < 1500 and took < 2
    assert [item.name for item in tmp_path.iterdir()] == ["plan.json"]


def test_bad_input_is_refused_without_loading_torch(tmp_path):
    """The slowest part of being told no would be what is not needed for it."""
    bad = {name: tmp_path / f"{name}.json" for name in ("recipe", "config")}
    bad["recipe"].write_text(json.dumps(rule(operators=8)))
    bad["config"].write_text('{"fusion_ffn_dim": 1000000000000}')
    samples = tmp_path / "samples.jsonl"
    samples.write_text('{"id": 5}\n')
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text("{")
    script = """
import sys
from evaluation.__main__ import main as evaluate
from export.__main__ import main
recipe, config, folder, bundle = sys.argv[1:]
commands = (["--recipe", recipe], ["--config", config], ["--calibration-data", folder])
codes = [*map(main, commands), evaluate(["check", bundle])]
print(codes, {"torch", "onnx", "ai_edge_quantizer", "transformers", "timm"} & set(sys.modules))
"""
    arguments = [bad["recipe"], bad["config"], tmp_path, tmp_path / "bundle"]
    run = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    assert run.stdout == "[2, 2, 2, 2] set()\n", run.stderr
    assert run.stderr.count("error: ") == run.stderr.count("\n") == 4


def test_the_operators_are_what_the_quantizers_offer():
    """Each rule is accepted by the quantizer itself; an operator that it knows and no list has fails too."""
    from ai_edge_quantizer import default_policy, qtyping
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    offered = json.loads(default_policy.DEFAULT_JSON_POLICY)["ops_per_config"]
    public = {name.value for name in qtyping.TFLOperationName} - {"*", "INPUT", "OUTPUT", "CUSTOM_OP"}

    def of(*configs: str) -> set[str]:
        return {name for config in configs for name in offered[config]} & public

    assert set(OPERATORS["static_int8"]) == of("static_wi8_ai8")
    assert set(OPERATORS["dynamic_int8"]) == of("dynamic_wi8_afp32")
    assert set(OPERATORS["weight_int8"]) == of("weightonly_wi8_afp32")
    assert set(OPERATORS["weight_int4"]) == of("weightonly_wi4_afp32")
    assert set(OPERATORS["float"]) == public
    assert set(ONNX_OPERATORS) == QDQRegistry.keys() | QLinearOpsRegistry.keys()


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){20}", "(a?){30}a{30}", "a?" * 30, "(a|a)" * 40, ".*.*.*x", "(x+x+)+y",
     "(?:a{0,50}){50}", "(?=(a+)+b)", "(?>a*)*", "(a)?(?(1)(b|b)*|c)d"],
)  # fmt: skip
def test_expressions_that_can_take_ages_are_refused(pattern):
    assert "ways" in problem(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        ".*",
        "(A|B)_\\d+/conv",
        "text/[^/]*(Self)?Output/.*dense",
        "(ab)*c",
        "(?i)conv",
        "a{3}",
        "(?=.*x)y.*",
    ],
)
def test_other_expressions_take_no_time_even_where_they_fail(pattern):
    assert problem(pattern) is None
    begin = time.perf_counter()
    re.search(f"{pattern}\n", "a" * LONGEST_NAME)
    assert time.perf_counter() - begin < 10


def test_whether_unmatched_rules_are_dropped_decides_what_is_exported(tmp_path):
    """The default recipe as a file of one's own has the same rules, but none of them may match nothing."""
    config = tmp_path / "config.json"
    config.write_text("{}")
    general = read_request("mine", config_file=config, out=tmp_path / "out")
    given = read_request(
        "mine", config_file=config, recipe_file=RECIPES / "default.json", out=tmp_path / "out"
    )
    assert general.recipe.general and not given.recipe.general
    assert general.recipe.to_dict() == given.recipe.to_dict()
    assert digest(general.inputs()["recipe"]) != digest(given.inputs()["recipe"])


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_the_classes_that_a_committed_recipe_names_are_there(path):
    """A rule of the default recipe that finds nothing is dropped without a word: after a class moved, too."""
    classes = {name for module in MODEL_CODE for name, _ in inspect.getmembers(module, inspect.isclass)}
    for layers in (rule["layers"] for rule in json.loads(path.read_text())["tflite"]["rules"]):
        for name in re.findall(r"[A-Z][A-Za-z]+", layers):
            assert any(name in known for known in classes), f"{layers}: no class has {name} in its name"
        for module, name in re.findall(r"(encoder(?:\.[a-z]\w*)+)(?:\.([A-Z][A-Za-z]+))?", layers):
            assert hasattr(importlib.import_module(module), name or "__name__"), layers


def test_a_recipe_survives_its_own_file(tmp_path):
    for path in COMMITTED:
        recipe = load_recipe("any", path)
        (tmp_path / path.name).write_text(json.dumps(recipe.to_dict()))
        assert load_recipe("any", tmp_path / path.name) == recipe
