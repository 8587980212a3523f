"""Device profiles: what is shipped, and what is refused."""

from __future__ import annotations

import pytest

from evaluation.arm64.errors import Arm64Error
from evaluation.arm64.profiles import PROFILES_FILE, choose, load_profiles


def test_the_default_decides_and_comes_first():
    profiles = choose(None)
    assert [profile.name for profile in profiles] == ["a76", "pixel", "pixel2", "pixel3a"]


def test_the_target_runs_at_the_pixel_3a_rate_with_all_its_instruction_sets():
    target, pixel3a = choose(["a76", "pixel3a"])
    assert target.m_instructions_per_ms == pixel3a.m_instructions_per_ms
    assert target.fp16 and target.dot_product and pixel3a.fp16 and not pixel3a.dot_product


def test_19_ms_are_about_40_million_instructions():
    (target,) = choose(["a76"])
    assert target.milliseconds(40.5) == pytest.approx(19, abs=0.1)
    low, high = target.milliseconds_range(40.5)
    assert low < 19 < high


def test_an_unknown_profile_lists_the_known_ones():
    with pytest.raises(Arm64Error, match=r"pixel4.*a76, pixel, pixel2, pixel3a"):
        choose(["pixel4"])


@pytest.mark.parametrize("name", ["a76", "pixel", "pixel2", "pixel3a"])
def test_the_kernel_s_cpu_file_lists_only_what_the_core_has(name: str):
    (profile,) = choose([name])
    rows = dict(line.split("\t: ") for line in profile.cpuinfo.splitlines())
    features = rows["Features"].split()
    assert ("asimdhp" in features, "asimddp" in features) == (profile.fp16, profile.dot_product)
    assert int(rows["CPU part"], 16) == profile.part
    assert (profile.hidden_hwcap & (1 << 20) == 0) == profile.dot_product


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('default = "a76"', 'default = "a77"', "default must be one of a76"),
        ("year = 2019", 'year = "2019"', "year has the wrong type"),
        ("year = 2019", "", "missing year"),
        ("year = 2019", "year = 2019\ncolour = 1", "unknown colour"),
        (
            "m_instructions_per_ms = 2.13",
            "m_instructions_per_ms = 9.9",
            "needs 0 < lowest <= m_instructions_per_ms <= highest",
        ),
        ("m_instructions_per_ms = 2.13", "m_instructions_per_ms = nan", "needs 0 < lowest"),
        (
            "m_instructions_per_ms_range = [1.96, 2.30]",
            "m_instructions_per_ms_range = [1.96]",
            "needs 0 < lowest",
        ),
        ("fp16 = true", "fp16 = 1", "fp16 has the wrong type"),
        ("[profile.a76]", "[profile.a76", "cannot read"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, old: str, new: str, problem: str):
    text = PROFILES_FILE.read_text()
    assert old in text
    path = tmp_path / "profiles.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(Arm64Error, match=problem) as caught:
        load_profiles(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(Arm64Error, match="cannot read"):
        load_profiles(tmp_path / "profiles.toml")
