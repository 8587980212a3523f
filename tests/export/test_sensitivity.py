"""The layers that add noise, as `python -m export sensitivity` lists them."""

import json

from export.__main__ import main
from tests.runtime.conftest import TINY


def test_layers_are_listed_with_the_noise_that_they_add(capfd):
    assert main(["sensitivity", str(TINY), "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert rows and all(row["precision"] != "float" and row["noise"] >= 0 for row in rows)
    assert [row["added"] for row in rows] == sorted((row["added"] for row in rows), reverse=True)
    assert {row["signature"] for row in rows} <= {"vision", "text", "fuse"}
    assert main(["sensitivity", str(TINY)]) == 0
    assert rows[0]["operator"] in capfd.readouterr().out
