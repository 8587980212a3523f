"""`python -m evaluation robustness`: INT8 and small changes of the screen, against what an app would get."""

import json

import numpy as np
import pytest
from PIL import Image

from evaluation.__main__ import main
from evaluation.quality.robustness import CHANGES, moved, other_letter
from runtime import ScreenEncoder
from runtime.metrics import mean_centred_cosine
from tests.runtime.conftest import TINY


@pytest.fixture(scope="module")
def screens(tmp_path_factory):
    """Six pictures, one of them in a folder of its own."""
    folder, random = tmp_path_factory.mktemp("screens"), np.random.default_rng(1)
    (folder / "more").mkdir()
    for number in range(6):
        blocks = random.integers(0, 256, (16, 8, 3), dtype=np.uint8)
        place = folder / "more" if number == 5 else folder
        Image.fromarray(blocks).resize((128, 256), Image.Resampling.NEAREST).save(place / f"{number}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def report(screens, capsys):
    assert main(["robustness", str(TINY), "--screens", str(screens), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_figures_are_those_of_what_an_app_gets(report, screens):
    rows = {row["name"]: row for row in report[screens.name]}
    assert list(rows) == ["TFLite INT8", "ONNX INT8", *(f"float, {name}" for name in CHANGES)]
    exact = ScreenEncoder.load(TINY, "tflite", "fp32")
    images = [np.asarray(Image.open(path)) for path in sorted(screens.rglob("*.png"))]
    reference = np.array([exact.encode(image, "", None) for image in images])
    shipped = ScreenEncoder.load(TINY, "tflite", "int8")
    up = [np.concatenate([image[2:], image[-1:], image[-1:]]) for image in images]
    expected = {
        "TFLite INT8": [shipped.encode(image, "", None) for image in images],
        "float, moved by 2 pixels": [exact.encode(image, "", None) for image in up],
    }
    for name, values in expected.items():
        cosines, found = mean_centred_cosine(np.array(values), reference), rows[name]
        assert (found["n"], found["worst_sample"]) == (6, f"{cosines.argmin()}.png")
        assert found["worst"] == pytest.approx(cosines.min(), abs=1e-6)
        assert found["mean"] == pytest.approx(cosines.mean(), abs=1e-6)
    assert all(row["worst"] <= row["p1"] <= row["p5"] <= 1 for row in rows.values())


def test_a_screen_moves_up_and_only_a_letter_changes():
    image = np.arange(256 * 128 * 3, dtype=np.uint32).reshape(256, 128, 3).astype(np.uint8)
    assert np.array_equal(moved(image, 2)[:-2], image[2:]) and np.array_equal(moved(image, 2)[-1], image[-1])
    changed = (other_letter(image) != image).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert 0 < changed.sum() <= 20 and rows.max() < 8 and columns.max() < 16


def test_people_get_a_table(screens, capsys):
    assert main(["robustness", str(TINY), "--screens", str(screens)]) == 0
    assert "moved by 2 pixels" in capsys.readouterr().out


def test_a_folder_without_screens_is_refused_in_one_line(tmp_path, capsys):
    assert main(["robustness", str(TINY), "--screens", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "0 images (.png, .jpg, .jpeg, .webp) in this folder; 2 needed" in error
