"""The pages: every view can be drawn by every kit, and templates of tests differ in structure from those of training."""

import html
import json
import subprocess

import pytest

from calibration_data.generator.plan import KITS
from calibration_data.generator.splits import templates
from calibration_data.generator.tools import PAGES
from tests.calibration_data.page_specs import SITUATIONS, page_spec
from tests.conftest import require_tool

DRAW = """
const { screenOf } = await import(process.argv[1]);
let input = "";
for await (const part of process.stdin) input += part;
const answers = JSON.parse(input).map((spec) => {
  try { const { body, attributes, signature } = screenOf(spec); return { body, attributes, signature }; }
  catch (error) { return { error: error.message }; }
});
console.log(JSON.stringify(answers));
"""


def drawn(specs):
    """What page.mjs makes of each specification: body, the root element's attributes, signature; or error."""
    node = require_tool("node")
    command = [node, "--input-type=module", "--eval", DRAW, (PAGES / "page.mjs").as_uri()]
    done = subprocess.run(command, input=json.dumps(specs), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kit", [*KITS, "weui"])
def test_every_view_shows_what_is_typed_in_every_scene(kit):
    specs = [page_spec(kind, view, scene, kit) for kind, view, scene in SITUATIONS]
    for spec, page in zip(specs, drawn(specs), strict=True):
        assert "error" not in page, (spec["view"], page)
        assert "undefined" not in page["body"], spec["view"]
        assert spec["typed"] in html.unescape(page["body"]), spec["view"]
        assert ("data-focus" in page["body"]) == (spec["scene"] != "browse"), (spec["view"], spec["scene"])
        assert ('id="keyboard"' in page["body"]) == (spec["keyboard"] is not None), spec["view"]


def test_an_unknown_view_is_an_error_that_names_the_views_of_the_kind():
    [page] = drawn([page_spec("shop", "cart", "browse") | {"view": "shop/attic"}])
    assert page["error"].startswith("unknown view shop/attic")
    assert "checkout" in page["error"]


def test_a_template_fixes_the_structure_whatever_the_seed():
    spec = page_spec("mail", "inbox", "browse")
    first, again, other = drawn(
        [spec, {**spec, "seed": "another seed"}, {**spec, "template": "mail/inbox/t2"}]
    )
    assert first["signature"] == again["signature"] != other["signature"]
    assert first["attributes"] == again["attributes"]


def test_no_layout_of_the_unseen_splits_is_one_of_training():
    for kind, view, scene in SITUATIONS:
        spec = page_spec(kind, view, scene)
        name = f"{kind}/{view}"
        seen = [*templates(name, "train"), *templates(name, "validation")]
        unseen = templates(name, "test")
        pages = drawn([{**spec, "template": template} for template in (*seen, *unseen)])
        signatures = [page["signature"] for page in pages]
        assert not set(signatures[: len(seen)]) & set(signatures[len(seen) :]), (name, scene)


def test_a_screen_without_a_template_has_no_signature_and_ignores_layouts():
    spec = page_spec("notes", "overview", "browse")
    del spec["template"], spec["view"]
    [page] = drawn([spec])
    assert not page["signature"]
    assert "lay-" not in page["attributes"]["class"]
