"""Ways to damage bytes and JSON values."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

BAD_VALUES = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**64, 10**60, 1e12, 1e299, 1e308, -0.0, 5e-324, "", "x", "[", "(a+)+$",
    "../../etc/passwd", "\0", "\ud800", "é" * 300, "y" * 30_000, [], [None], [[]], [1, "x"], [0] * 1000, {}, {"a": {}},
)  # fmt: skip


def damaged_bytes(data: bytes, chooser: random.Random) -> bytes:
    """Flips, cuts, doubles, moves or overwrites parts of some bytes, up to eight times."""
    result = bytearray(data)
    for _ in range(chooser.choice((1, 1, 1, 2, 4, 8))):
        if not result:
            break
        place = chooser.randrange(len(result))
        length = min(chooser.choice((1, 2, 4, 16, 256)), len(result) - place)
        way = chooser.randrange(7)
        if way == 0:
            result[place] ^= 1 << chooser.randrange(8)
        elif way == 1:
            del result[place:]
        elif way == 2:
            del result[place : place + length]
        elif way == 3:
            result[place:place] = result[place : place + length]
        elif way == 4:
            result[place : place + length] = chooser.randbytes(length)
        elif way == 5:
            result[place : place + length] = bytes([chooser.choice((0, 0x7F, 0x80, 0xFF))]) * length
        else:
            result += chooser.randbytes(length)
    return bytes(result)


def damaged_value(value: Any, chooser: random.Random) -> Any:
    """A JSON value with one to three of its parts replaced, dropped, renamed or doubled."""
    result = json.loads(json.dumps(value))
    for _ in range(chooser.choice((1, 1, 2, 3))):
        holders = list(_holders(result))
        if not holders:
            return copy.deepcopy(chooser.choice(BAD_VALUES))
        holder = chooser.choice(holders)
        key = chooser.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        way = chooser.randrange(5)
        if way <= 2:
            holder[key] = copy.deepcopy(chooser.choice(BAD_VALUES))  # what is put in may be damaged next
        elif way == 3:
            del holder[key]
        elif isinstance(holder, dict):
            holder[f"{key}{chooser.choice(('s', ' ', '_', 'é'))}"] = holder.pop(key)
        else:
            holder.append(holder[key])
    return result


def damaged_json(value: Any, chooser: random.Random) -> bytes:
    """A JSON file whose value is damaged, or whose text is, or that is nested too deep."""
    way = chooser.randrange(10)
    if way == 0:
        return damaged_bytes(json.dumps(value, indent=1).encode(), chooser)
    if way == 1:
        depth = chooser.choice((100, 5_000, 100_000))
        opening, closing = chooser.choice((("[", "]"), ('{"a":', "}")))
        return (opening * depth + "1" + closing * depth).encode()
    return json.dumps(damaged_value(value, chooser)).encode()


def _holders(value: Any):
    """All objects and lists in a value that hold something."""
    if isinstance(value, (dict, list)) and value:
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _holders(part)
