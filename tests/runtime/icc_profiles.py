"""Small ICC profiles, written by hand; `python -m tests.runtime.icc_profiles` writes tests/data/display_p3.icc."""

import struct
from pathlib import Path

DISPLAY_P3 = Path(__file__).parents[1] / "data" / "display_p3.icc"
# XYZ of red, green and blue, seen in the profile's light D50; P3's as Apple writes them.
P3_XYZ = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
SRGB_XYZ = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def _fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def xyz(numbers: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*numbers)


def curve(*parameters: float) -> bytes:
    """A power of one number, or sRGB's five."""
    return b"para\0\0\0\0" + struct.pack(">HH", 3 if len(parameters) == 5 else 0, 0) + _fixed(*parameters)


def profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], version: int = 4) -> bytes:
    """Lays header, table and tags out."""
    light = (0.9642, 1.0, 0.8249)
    text = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 8, 28) + "test".encode("utf-16-be")
    tags = {b"desc": text, b"cprt": text, b"wtpt": xyz(light)} | tags
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    header = struct.pack(
        ">I4xI4s4s4s12x4s28x", start + len(body), version << 24, b"mntr", space, connection, b"acsp"
    )
    return (header + _fixed(*light)).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb_profile(primaries: tuple, parameters: tuple[float, ...] = SRGB_CURVE, version: int = 4) -> bytes:
    """A display by its primaries and its curve."""
    tags = {name + b"XYZ": xyz(primary) for name, primary in zip((b"r", b"g", b"b"), primaries, strict=True)}
    return profile(
        b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(*parameters)), version
    )


def grey_profile(power: float) -> bytes:
    return profile(b"GRAY", b"XYZ ", {b"kTRC": curve(power)})


def cmyk_profile() -> bytes:
    """Inks that print greys: the first as light as its paper, each other one black."""
    ramp = bytes(range(256))
    inks = sum(
        ((255 if not ink & 0b0111 else 0, 128, 128) for ink in range(16)), ()
    )  # first ink: the top bit
    table = (
        b"mft1\0\0\0\0"
        + bytes((4, 3, 2, 0))
        + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
        + 4 * ramp
        + bytes(inks)
        + 3 * ramp
    )
    return profile(b"CMYK", b"Lab ", {b"A2B0": table}, version=2)


if __name__ == "__main__":
    DISPLAY_P3.write_bytes(rgb_profile(P3_XYZ))
