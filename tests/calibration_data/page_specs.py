"""Specifications of screens for tests of the pages: one for each view, without any corpus."""

from calibration_data.generator.content import screen_spec
from calibration_data.generator.plan import Screen
from calibration_data.generator.situations import VIEWS

KEYBOARDS = {"browse": None, "letters": "letters", "number": "digits", "email": "email"}
SITUATIONS = [
    (kind, view, scene) for kind, views in VIEWS.items() for view, scenes in views.items() for scene in scenes
]
OF_A_TRAINING_SET = {
    "target": "x", "target_group": "g", "siblings": [], "caption": "c", "text_source": "project/test",
}  # fmt: skip


def page_spec(kind: str, view: str, scene: str, kit: str = "onsenui", *, template: str | None = None) -> dict:
    """What dataset.py would plan for `kind`/`view`, with the texts of the committed set."""
    name = f"{kind}-{view}-{scene}-{kit}"
    for attempt in range(30):
        screen = Screen(name, "train", kind, kit, "ios", False, KEYBOARDS[scene], "en")
        spec = screen_spec(screen, 3, 0, attempt=attempt)
        if spec["scene"] == scene:
            break
    assert spec["scene"] == scene, f"no {scene} screen of {kind} in 30 attempts"
    small = {"width_css": 360, "height_css": 640, "scale": 1}
    template = template or f"{kind}/{view}/t1"
    return {**spec, **small, **OF_A_TRAINING_SET, "view": f"{kind}/{view}", "template": template}
