"""The app as one signed file: dex, resources, model, one CPU's native library; and what is in it."""

import re
import shutil
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from android_demo.check import DEMO
from android_demo.check.kotlin import versions
from android_demo.check.tools import run
from android_demo.check.work import GENERATED, LIB, TARGET, WORK, digest
from runtime.files import STAMP, make_once

ABI = "arm64-v8a"
LIMIT_BYTES = 12_000_000
PAGE_BYTES = 16_384  # memory pages of newer phones; a stored library is mapped from a multiple of it
APK = "pocket-encoder-demo.apk"
_FOLDER = WORK / "apk"
_KEY = WORK / "debug.keystore"
_PASSWORD = "android"  # the usual one of debug keys, which protect nothing
_STORED = (".tflite", ".webp", ".so")
_TIME = (1980, 1, 1, 0, 0, 0)
_LIBRARIES = ("kotlin-stdlib", "annotations", "tensorflow-lite", "tensorflow-lite-api")
_RULES = (DEMO / "app" / "proguard-rules.pro", DEMO / "encoder" / "consumer-rules.pro")
_ALIGNMENT_FIELD = 0xD935  # Android's own extra field: what an entry is aligned to, then padding
_LOAD_SEGMENT = 1
_SIGNED = "Verified using v3 scheme (APK Signature Scheme v3): true"  # all that Android 9 and later look at
_BADGING = (
    "package", "sdkVersion", "targetSdkVersion", "application-label:", "launchable-activity",
    "uses-permission", "supports-screens", "native-code",
)  # fmt: skip
_SIGNATURE = ("Verif", "Number of signers", "Signer #1 cert")
_LIBRARY = f"lib/{ABI}/libtensorflowlite_jni.so"


@dataclass(frozen=True)
class ApkReport:
    """A signed APK.

    Attributes:
        path: Where it is.
        size_bytes: Its size.
        limit_bytes: What it may be at most.
        parts: Stored bytes by part.
        badging: Lines of `aapt2 dump badging` that say what a phone sees.
        signature: Lines of `apksigner verify`.
        permissions: What it asks for.
        abis: CPUs that it runs on.
        library_offset_aligned: Whether its native library begins at a multiple of 16 KB.
        library_segment_bytes: What the library's own segments are aligned to.
        passed: Whether size, signature, CPU and permissions are as they must be.
    """

    path: str
    size_bytes: int
    limit_bytes: int
    parts: dict[str, int]
    badging: tuple[str, ...]
    signature: tuple[str, ...]
    permissions: tuple[str, ...]
    abis: tuple[str, ...]
    library_offset_aligned: bool
    library_segment_bytes: int
    passed: bool


def build() -> ApkReport:
    """Packs, signs and verifies the app.

    Raises:
        AndroidError: A tool refused its input.
    """
    inputs = [TARGET / "classes", GENERATED / "resources.apk", LIB / STAMP, *_RULES]
    make_once(_FOLDER, digest([*inputs, Path(__file__)]), _build)
    return inspect(_FOLDER / APK)


def _build(folder: Path) -> None:
    classes = folder / "classes.jar"
    with zipfile.ZipFile(classes, "w") as jar:
        for file in sorted((TARGET / "classes").rglob("*.class")):
            jar.write(file, file.relative_to(TARGET / "classes"))
    libraries = [LIB / f"{name}.jar" for name in _LIBRARIES]
    java_home = Path(shutil.which("javac")).resolve().parents[1]
    command = ["java", "-Xmx2g", "-cp", LIB / "r8.jar", "com.android.tools.r8.R8", "--release"]
    command += ["--min-api", versions()["minSdk"], "--output", folder]
    for platform in (LIB / "android-all.jar", java_home):
        command += ["--lib", platform]
    for rules in (GENERATED / "keep.pro", *_RULES):
        command += ["--pg-conf", rules]
    run([*command, classes, *libraries], "r8")
    unsigned = folder / "unsigned.apk"
    _pack(folder / "classes.dex", unsigned)
    run(["zipalign", "-c", "4", unsigned], "zipalign")
    _sign(unsigned, folder / APK)
    for done in (classes, unsigned, folder / "classes.dex"):
        done.unlink()


def _pack(dex: Path, target: Path) -> None:
    """The same inputs give the same bytes."""
    with zipfile.ZipFile(target, "w") as apk:
        with zipfile.ZipFile(GENERATED / "resources.apk") as linked:
            for entry in linked.infolist():
                _add(apk, entry.filename, linked.read(entry), entry.compress_type == zipfile.ZIP_STORED)
        _add(apk, "classes.dex", dex.read_bytes())
        resources = DEMO / "encoder" / "src" / "main" / "resources"
        for file in sorted(file for file in resources.rglob("*") if file.is_file()):
            _add(apk, str(file.relative_to(resources)), file.read_bytes())
        with zipfile.ZipFile(LIB / "tensorflow-lite.aar") as archive:
            _add(apk, _LIBRARY, archive.read(f"jni/{ABI}/libtensorflowlite_jni.so"))


def _add(apk: zipfile.ZipFile, name: str, data: bytes, stored: bool = False) -> None:
    """Adds an entry; a stored one begins at a multiple of 4 bytes, a library at one of 16 KB."""
    entry = zipfile.ZipInfo(name, _TIME)
    stored = stored or name.endswith(_STORED)
    entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    if stored:
        multiple = PAGE_BYTES if name.endswith(".so") else 4
        head = struct.Struct("<HHH")
        begin = apk.fp.tell() + zipfile.sizeFileHeader + len(name.encode()) + head.size
        padding = -begin % multiple
        entry.extra = head.pack(_ALIGNMENT_FIELD, 2 + padding, multiple) + bytes(padding)
    apk.writestr(entry, data, compresslevel=9)


def _sign(unsigned: Path, signed: Path) -> None:
    if not _KEY.is_file():
        run(
            ["keytool", "-genkeypair", "-keystore", _KEY, "-storepass", _PASSWORD, "-keypass", _PASSWORD,
             "-alias", "debug", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000",
             "-dname", "CN=Android Debug"],
            "key",
        )  # fmt: skip
    run(
        ["apksigner", "sign", "--ks", _KEY, "--ks-pass", f"pass:{_PASSWORD}", "--v4-signing-enabled", "false",
         "--in", unsigned, "--out", signed],
        "sign",
    )  # fmt: skip


def inspect(path: Path) -> ApkReport:
    """Reads a signed APK back.

    Raises:
        AndroidError: Its signature does not verify, or it cannot be read.
    """
    signature = run(["apksigner", "verify", "--verbose", "--print-certs", path], "verify")
    badging = run(["aapt2", "dump", "badging", path], "badging")
    permissions = tuple(re.findall(r"uses-permission: name='([^']+)'", badging))
    native = re.search(r"native-code: (.*)", badging)
    abis = tuple(re.findall(r"'([^']+)'", native[1])) if native else ()
    parts: dict[str, int] = {}
    with zipfile.ZipFile(path) as apk:
        for entry in apk.infolist():
            name = _part(entry.filename)
            parts[name] = parts.get(name, 0) + entry.compress_size
        aligned = _data_offset(apk, apk.getinfo(_LIBRARY)) % PAGE_BYTES == 0
        segment = _segment_alignment(apk.read(_LIBRARY))
    size = path.stat().st_size
    passed = size <= LIMIT_BYTES and not permissions and abis == (ABI,) and aligned and _SIGNED in signature
    return ApkReport(
        str(path), size, LIMIT_BYTES, parts, _lines(badging, _BADGING), _lines(signature, _SIGNATURE),
        permissions, abis, aligned, segment, passed,
    )  # fmt: skip


def _lines(text: str, beginnings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(line for line in text.splitlines() if line.startswith(beginnings))


def _part(name: str) -> str:
    if name.startswith("lib/"):
        return "native library"
    if name.endswith((".tflite", ".npz")):
        return name.rpartition("/")[2]
    return {"classes.dex": "dex"}.get(name, name.partition("/")[0] if "/" in name else "resources")


def _data_offset(apk: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """Where an entry's data begins in the file."""
    apk.fp.seek(entry.header_offset + zipfile.sizeFileHeader - 4)
    name, extra = struct.unpack("<HH", apk.fp.read(4))
    return entry.header_offset + zipfile.sizeFileHeader + name + extra


def _segment_alignment(elf: bytes) -> int:
    """The smallest alignment of a 64-bit ELF file's loaded segments."""
    (table,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", elf, table + size * index) for index in range(count)]
    return min(header[7] for header in headers if header[0] == _LOAD_SEGMENT)
