"""What each kind of screen is about: its documents, and the text that is being typed into it."""

import random
from collections.abc import Callable

from calibration_data.generator.phrases import handles, pool
from calibration_data.generator.plan import Screen
from calibration_data.generator.typed_text import half_typed, half_typed_number


class _Scene:
    """A screen's properties, its language's texts and a source of chance, for the functions below."""

    def __init__(self, screen: Screen, scene: str, words: dict, rng: random.Random, turn: int) -> None:
        self.screen, self.scene, self.words, self.rng, self.turn = screen, scene, words, rng, turn

    def doc(self, key: str):
        """The documents of this split take turns, so that a set shows each of them before one comes again."""
        documents = pool(self.words[key], self.screen.split)
        return documents[self.turn % len(documents)]

    def filler(self, key: str, count: int) -> list:
        items = self.words[key]
        return self.rng.sample(items, min(count, len(items)))

    def first(self, key: str, count: int) -> list:
        """A document of this split, then others of the language."""
        first = self.doc(key)
        return [first, *[item for item in self.filler(key, count) if item != first][: count - 1]]

    def names(self, count: int) -> list[str]:
        return self.rng.sample(self.words["people"], min(count, len(self.words["people"])))

    def typed(self, target: str) -> dict:
        """The target and what of it is typed; in some scenes an address or a number takes its place."""
        if self.scene == "browse":
            return {"target": "", "typed": ""}
        if self.scene == "email":
            target = self.rng.choice(handles(self.screen.split))
        elif self.scene == "number":
            return self.typed_number(self.words["numbers"].get(self.screen.kind, [target]))
        return {"target": target, "typed": half_typed(target, self.rng)}

    def typed_number(self, phrases: list[str]) -> dict:
        target = self.rng.choice(pool(phrases, self.screen.split) or phrases)
        return {"target": target, "typed": half_typed_number(target, self.rng)}

    def price(self, low: int, high: int) -> tuple[float, str]:
        value = self.rng.randint(low, high) - self.rng.choice((0.05, 0.1, 0.5, 0.01))
        return value, self.format_price(value)

    def format_price(self, value: float) -> str:
        style = self.words["price"]
        number = f"{value * style['rate']:,.{style['decimals']}f}"
        if style["point"] == ",":
            number = number.replace(",", " ").replace(".", ",")
        return style["format"].replace("#", number)


def _times(s: _Scene, count: int) -> list[str]:
    ui = s.words["ui"]
    times = sorted(
        (f"{s.rng.randint(7, 20)}:{s.rng.randint(0, 59):02d}" for _ in range(3)),
        key=lambda t: int(t.split(":")[0]),
        reverse=True,
    )
    return (
        times
        + [ui["yesterday"]] * 2
        + [f"{s.rng.randint(1, 28)}.{s.rng.randint(1, 12)}." for _ in range(count)]
    )[:count]


def _chat(s: _Scene) -> dict:
    dialogue = s.doc("chat")
    turns = [{"me": turn.startswith(">"), "text": turn.removeprefix(">")} for turn in dialogue["turns"]]
    keep = s.rng.randint(max(3, len(turns) - 3), len(turns))
    names = s.rng.sample(s.words["people"] + s.words["groups"], 9)
    last = [turn.removeprefix(">") for item in s.words["chat"] for turn in item["turns"]]
    chats = [
        {"name": name, "last": s.rng.choice(last), "time": time}
        for name, time in zip(names, _times(s, len(names)), strict=True)
    ]
    return {
        "person": s.rng.choice(s.words["people"]),
        "turns": turns[-keep:],
        "chats": chats,
        **s.typed(dialogue["reply"]),
    }


def _mail(s: _Scene) -> dict:
    draft = s.doc("drafts")
    messages = s.first("mail", 8)
    senders, times = s.names(len(messages)), _times(s, len(messages))
    rows = [
        {"from": senders[i], "time": times[i], "unread": i < 2, "starred": s.rng.random() < 0.25, **message}
        for i, message in enumerate(messages)
    ]
    return {"draft": draft, "messages": rows, **s.typed(draft["target"])}


def _search(s: _Scene) -> dict:
    topic = s.doc("search")
    recent = [item["query"] for item in s.words["search"] if item is not topic][:3]
    content = {
        "query": topic["query"],
        "mappable": topic.get("map", False),
        "suggestions": topic["suggestions"],
        "results": topic["results"],
        "recent": recent,
        **s.typed(topic["query"]),
    }
    if s.scene == "number":
        content |= s.typed_number(s.words["search_numbers"])
        others = [item for item in s.words["search_numbers"] if item != content["target"]]
        content |= {"suggestions": [content["target"], *others], "recent": [topic["query"], *recent]}
    return content


def _digits(s: _Scene, target: str, at_least: int = 2) -> dict:
    typed = target[: s.rng.randint(at_least, len(target) - 1)].rstrip()
    return {"target": target, "typed": typed}


def _login(s: _Scene) -> dict:
    phone = f"{s.words['dial']} 555 01{s.rng.randint(10, 99)}"
    content = {
        "tagline": s.doc("login"),
        "email": s.rng.choice(handles(s.screen.split)),
        "phone": phone,
        **s.typed(s.doc("people")),
    }
    if s.scene == "number":
        kind = s.rng.choice(("phone", "code"))
        target = phone if kind == "phone" else f"{s.rng.randint(100000, 999999)}"
        content |= {"numberKind": kind, **_digits(s, target)}
    return content


def _settings(s: _Scene) -> dict:
    renames = s.scene == "letters" and s.rng.random() < 0.5
    content = {
        "email": s.rng.choice(handles(s.screen.split)),
        "renames": renames,
        **s.typed(s.doc("devices" if renames else "settings")),
    }
    return content | (_digits(s, f"{s.rng.randint(1000, 9999)}") if s.scene == "number" else {})


def _feed(s: _Scene) -> dict:
    posts = s.first("feed", 3)
    rows = [
        {
            "name": name,
            "text": post["post"],
            "time": f"{s.rng.randint(6, 22)}:{s.rng.randint(10, 59)}",
            "likes": s.rng.randint(3, 480),
            "replies": s.rng.randint(0, 60),
            "liked": s.rng.random() < 0.4,
        }
        for post, name in zip(posts, s.names(len(posts)), strict=True)
    ]
    return {"posts": rows, "comments": s.filler("comments", 5), **s.typed(posts[0]["comment"])}


def _shop(s: _Scene) -> dict:
    names = s.words["shop"]
    products, total = [], 0.0
    for index in s.rng.sample(range(len(names)), 9):
        value, price = s.price(8, 140)
        old = s.format_price(value * 1.4) if s.rng.random() < 0.3 else ""
        products.append({"index": index, "name": names[index], "price": price, "old": old})
        total += value if len(products) <= 3 else 0
    content = {
        "products": products,
        "total": s.format_price(total),
        "text": s.rng.choice(s.words["shop_text"]),
        "address": {"city": s.words["city"]},
        **s.typed(s.doc("shop_queries")),
    }
    if s.scene == "number":
        kind = s.rng.choice(("postcode", "card"))
        card = f"4000 {s.rng.randint(1000, 9999)} {s.rng.randint(1000, 9999)} {s.rng.randint(1000, 9999)}"
        target = card if kind == "card" else f"{s.rng.randint(10000, 99999)}"
        content |= {"numberKind": kind, **_digits(s, target, 3)}
    return content


def _notes(s: _Scene) -> dict:
    note = s.doc("notes")
    others = [item for item in s.filler("notes", 6) if item is not note]
    more = [{"title": item["subject"], "lines": [item["preview"]]} for item in s.filler("mail", 3)]
    return {
        "note": note,
        "notes": s.rng.sample([note, *others, *more], len(others) + 1 + len(more)),
        **s.typed(note["target"]),
    }


_SCENES: dict[str, Callable[[_Scene], dict]] = {
    "chat": _chat, "mail": _mail, "search": _search, "login": _login,
    "settings": _settings, "feed": _feed, "shop": _shop, "notes": _notes,
}  # fmt: skip


def scene_content(screen: Screen, scene: str, words: dict, rng: random.Random, turn: int) -> dict:
    """The documents that the page of `screen` shows, with "target" (what will have been written) and "typed".

    Args:
        screen: The planned properties.
        scene: "browse", "letters", "number" or "email".
        words: The language's texts.
        rng: Source of all choices.
        turn: How many screens of this split, kind and language came before.
    """
    return _SCENES[screen.kind](_Scene(screen, scene, words, rng, turn))
