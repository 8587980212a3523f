"""The recipe search: which layers change together, which are the most sensitive, and that candidates are measured as real files."""

import json
import re

import numpy as np
import pytest

from evaluation.arm64.profiles import choose
from evaluation.arm64.toolchain import open_toolchain
from export.__main__ import main
from export.quantize.recipe import RECIPES, Rule, TfliteRecipe, load_recipe
from export.quantize.search.give_back import Candidate, GivenBack, Measured
from export.quantize.search.groups import Group, integer_groups, unit_of
from export.quantize.search.report import draw
from export.quantize.search.search import Point, Search, Sensitivity, cheapest, most_sensitive, search
from export.quantize.search.trial import Trial, Trials
from export.quantize.tflite import operators
from runtime.manifest import write_manifest

RECIPE = TfliteRecipe("fp16", "min_max", (Rule("net", ("CONV_2D", "FULLY_CONNECTED"), "static_int8"),))


def _group(name: str, signature: str = "vision") -> Group:
    return Group(signature, name, (f"net/{name};",), ("CONV_2D",))


def _trial(m_instructions: float, cosine: float = 0.99, file_bytes: int = 4_000_000) -> Trial:
    return Trial({"vision": m_instructions, "text": 2.0, "fuse": 0.2}, file_bytes, cosine, cosine)


@pytest.mark.parametrize(
    ("layer", "unit"),
    [
        ("backbone.features.stem.conv", "stem"),
        ("backbone.features.stages_0.0.conv2_kxk.bn.act", "stages_0.0"),
        ("backbone.features.stages_2.1.transformer.0.attn.query", "stages_2.1.transformer.0.attn"),
        ("backbone.features.stages_2.1.conv_fusion.conv", "stages_2.1.conv_fusion"),
        ("fusion.linear1", "fusion.linear1"),
        ("text.0.query", "text.0"),
        ("text.0.output", "text.0.output"),
        ("something_else", "something_else"),
    ],
)
def test_layers_of_a_unit_change_together(layer, unit):
    assert unit_of(layer) == unit


def test_groups_hold_what_the_recipe_computes_in_integers():
    found = [
        ("vision", "CONV_2D", "net/a.Stem_stem/b.Conv_conv;"),
        ("vision", "SOFTMAX", "net/a.Stem_stem/b.Softmax_x;"),
        ("vision", "CONV_2D", "other/a.Stem_stem/b.Conv_conv;"),
        ("text", "FULLY_CONNECTED", "net/a.Text_text/b.Linear_1/c.Linear_dense;"),
    ]
    groups = integer_groups(RECIPE, found)
    assert [(group.signature, group.operators) for group in groups] == [
        ("vision", ("CONV_2D",)),
        ("text", ("FULLY_CONNECTED",)),
    ]
    rule = groups[0].rule("float")
    assert rule.precision == "float"
    floated = TfliteRecipe(RECIPE.arithmetic, RECIPE.calibration, (*RECIPE.rules, rule))
    assert [group.signature for group in integer_groups(floated, found)] == ["text"]


def test_the_most_sensitive_gain_much_accuracy_for_few_instructions():
    rows = [
        Sensitivity(_group("dear"), "float", 0.010, 5.0, 0),
        Sensitivity(_group("cheap"), "float", 0.008, 0.5, 0),
        Sensitivity(_group("free"), "float", 0.001, -0.2, 0),
        Sensitivity(_group("useless"), "float", 0.0001, -1.0, 0),
        Sensitivity(_group("harmful"), "float", -0.01, 0.1, 0),
    ]
    assert [row.group.name for row in most_sensitive(rows)] == ["free", "cheap", "dear"]


def test_the_cheapest_recipe_within_the_limits_wins():
    limits = {"cosine_min": 0.95, "file_bytes": 4_500_000}
    points = [
        Point("bad", (), _trial(10, 0.9)),
        Point("large", (), _trial(12, 0.99, 5_000_000)),
        Point("good", (), _trial(20)),
        Point("better", ("a",), _trial(25, 0.999)),
    ]
    assert cheapest(points, limits).name == "good"
    assert cheapest(points[:2], limits) is None


def test_a_search_puts_float_where_it_pays_and_says_what_it_tried():
    class Made:
        """Stands for the phone: `noisy` loses accuracy in integers, float costs instructions."""

        profile = choose(None)[0]

        def measure(self, recipe):
            floats = {rule.layers for rule in recipe.rules if rule.precision == "float"}
            noisy = not any("noisy" in layers for layers in floats)
            whole = any(rule.precision == "static_int8" for rule in recipe.rules)
            return _trial(30 + len(floats) if whole else 80, 0.93 if noisy and whole else 0.99)

    seen = []
    limits = {"cosine_min": 0.95, "file_bytes": 4_500_000}
    groups = [_group("quiet"), _group("noisy")]
    found = search(RECIPE, groups, Made(), limits, lambda done, total, what: seen.append((done, total)))
    assert found.chosen == "+noisy" and found.recipe.rules == (*RECIPE.rules, groups[1].rule("float"))
    assert [row.group.name for row in found.sensitivities] == ["noisy", "quiet"]
    assert [point.name for point in found.points] == ["given", "float", "dynamic", "+noisy"]
    assert seen[-1][0] == seen[-1][1] and all(done <= total for done, total in seen)
    assert json.loads(json.dumps(found.to_dict()))["chosen"] == "+noisy"


def test_a_linear_layer_is_also_tried_with_ranges_of_its_own():
    """Dynamic INT8 gives back here what float gives, for fewer instructions and bytes."""

    class Made:
        profile = choose(None)[0]

        def measure(self, recipe):
            if RECIPE.rules[0] not in recipe.rules:
                return _trial(80)  # all in float, all dynamic
            changed = recipe.rules[-1].precision
            more = {"float": (5, 1_000_000), "dynamic_int8": (1, 0)}.get(changed, (0, 0))
            return _trial(30 + more[0], 0.93 if changed == "static_int8" else 0.99, 4_000_000 + more[1])

    linear = Group("text", "wide", ("net/wide;",), ("FULLY_CONNECTED",))
    found = search(RECIPE, [linear, _group("quiet")], Made(), {"cosine_min": 0.95, "file_bytes": 4_500_000})
    assert found.chosen == "+wide dynamic_int8"
    assert found.recipe.rules == (*RECIPE.rules, linear.rule("dynamic_int8"))
    assert ("dynamic_int8", "wide") in {(row.precision, row.group.name) for row in found.sensitivities}
    assert all(row.precision == "float" for row in found.sensitivities if row.group.name == "quiet")


def test_the_picture_shows_every_recipe(tmp_path):
    points = (Point("given", (), _trial(30)), Point("+stem", ("stem",), _trial(31)))
    found = Search("a76", {"cosine_min": 0.9, "file_bytes": 1}, (), points, "given", RECIPE)
    draw(found.to_dict(), tmp_path / "front.png")
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")


def test_explaining_needs_a_committed_search(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("export.quantize.search.command.RECIPES", tmp_path)
    assert main(["search", "balanced", "--explain"]) == 2
    assert "no search is committed" in capsys.readouterr().err


def test_what_an_export_gave_back_is_explained_unit_by_unit(capsys, tmp_path, bundle_dir):
    assert main(["search", str(bundle_dir), "--explain"]) == 2
    assert "its recipe was given, not found" in capsys.readouterr().err
    unit = Candidate("vision", "stem", "float", 2, 400_000, ())
    before, after = Measured(0.93, 0.96, 5_000_000), Measured(0.971, 0.985, 5_020_000)
    found = GivenBack((unit,), (0.0123,), before, after, 30, 97)
    manifest = json.loads((bundle_dir / "manifest.json").read_text())
    manifest["given_back"] = {"tflite": found.to_dict(), "onnx": None}
    write_manifest(tmp_path, manifest)
    assert main(["search", str(tmp_path), "--explain"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "stem │ vision │ float │ 2 │ 0.40 │ +0.0123" in told
    assert "TFLite, 30 trials on calibration screens that set no range: worst 0.930 -> 0.971" in told
    assert "mean 0.960 -> 0.985, 5.00 -> 5.02 MB" in told and "ONNX" not in told


def test_the_committed_search_explains_the_committed_recipe(capsys):
    """Its recipe is the cheapest that was tried of those within the limits."""
    assert main(["search", "balanced", "--explain"]) == 0
    found = json.loads((RECIPES / "balanced.search.json").read_text())
    assert f"chosen on a76: {found['chosen']}, the fewest" in " ".join(capsys.readouterr().out.split())
    fit = [
        point for point in found["points"]
        if point["cosine_min"] >= found["limits"]["cosine_min"]
        and point["file_bytes"] <= found["limits"]["file_bytes"]
    ]  # fmt: skip
    assert min(fit, key=lambda point: sum(point["m_instructions"].values()))["name"] == found["chosen"]


def test_the_committed_recipe_is_no_less_precise_than_the_one_that_the_search_chose(bundle_dir):
    """In the default encoder; beyond it, two layers that compute one row alone find their ranges at each run."""
    found = json.loads((RECIPES / "balanced.search.json").read_text())
    (chosen,) = (point for point in found["points"] if point["name"] == found["chosen"])
    groups = {row["group"].removesuffix(" dynamic_int8") for row in found["sensitivities"]}
    expected = dict.fromkeys(groups, "static_int8")
    for name in chosen["changed"]:
        group, _, precision = name.partition(" ")
        expected[group] = precision or "float"
    layers = list(operators(bundle_dir / "encoder_fp32.tflite"))
    rules, precisions = load_recipe("balanced").tflite.rules, {}
    for group in integer_groups(TfliteRecipe("fp16", "min_max", rules), layers):
        matching = [
            rule
            for rule in rules
            if re.search(rule.layers, group.layers[0]) and group.operators[0] in rule.operators
        ]
        precisions[group.name] = matching[-1].precision
    beyond = {name: value for name, value in precisions.items() if value != expected.get(name)}
    assert precisions.keys() == expected.keys()
    assert beyond == {"text.1.mixed": "dynamic_int8", "text.1.output": "dynamic_int8"}


@pytest.mark.exhaustive
def test_a_candidate_is_measured_as_a_real_file_on_the_emulated_phone(bundle_dir, tmp_path):
    source = bundle_dir / "encoder_fp32.tflite"
    with np.load(bundle_dir / "golden.npz", allow_pickle=False) as golden:
        arrays = {name: array[:9] for name, array in golden.items()}
    trials = Trials(source, arrays, choose(None)[0], open_toolchain(), tmp_path)
    recipe = load_recipe("balanced").tflite
    groups = integer_groups(recipe, operators(source))
    assert {group.signature for group in groups} == {"vision", "text", "fuse"} and len(groups) > 30
    given = trials.measure(recipe)
    shipped = json.loads((bundle_dir / "manifest.json").read_text())["arm64"]
    counted = next(row for row in shipped["paths"] if row["path"] == "encode" and row["profile"] == "a76")
    assert given.encode_m_instructions == pytest.approx(counted["m_instructions"], rel=0.01)
    wide = next(group for group in groups if group.name == "fusion.linear1")
    floated = trials.measure(
        TfliteRecipe(recipe.arithmetic, recipe.calibration, (*recipe.rules, wide.rule("float")))
    )
    assert floated.file_bytes > given.file_bytes + 500_000  # 1024 x 256 weights in four bytes instead of one
    assert len(list(tmp_path.glob("*.json"))) == 2
