"""What stands on a screen of the training set: dialogues, mails, posts, notes and results of real texts."""

import random

from calibration_data.generator.supply import Supply


class Documents:
    """The texts of one screen.

    Args:
        supply: Where they come from.
        language: Of the screen.
        rng: Source of all choices.
    """

    def __init__(self, supply: Supply, language: str, rng: random.Random) -> None:
        self.supply, self.language, self.rng = supply, language, rng

    def _texts(self, form: str, count: int) -> list[str]:
        return self.supply.show(self.language, form, count, self.rng)

    def _turns(self, said: tuple[str, ...]) -> list[dict]:
        """What was said before, ending with the other person's turn, then what is being answered."""
        before = self._texts("talk", self.rng.randint(2, 7))
        turns = [{"me": self.rng.random() < 0.5, "text": text} for text in before]
        turns += [{"me": (len(said) - index) % 2 == 0, "text": text} for index, text in enumerate(said)]
        return turns if said else [*turns, {"me": False, "text": self._texts("talk", 1)[0]}]

    def fill(self, kind: str, content: dict, said: tuple[str, ...], target: str) -> dict:
        """`content` of scenes.py with other texts in the places that hold documents.

        Args:
            kind: Of the screen.
            content: What `scene_content` chose; its structure is kept.
            said: In a chat, what is being answered.
            target: What is being typed; suggestions of a search begin with it.
        """
        fill = getattr(self, f"_{kind}", None)
        return {**content, **fill(content, said, target)} if fill else content

    def _chat(self, content: dict, said: tuple[str, ...], target: str) -> dict:
        last = self._texts("talk", len(content["chats"]))
        chats = [{**chat, "last": text} for chat, text in zip(content["chats"], last, strict=True)]
        return {"turns": self._turns(said), "chats": chats}

    def _mail(self, content: dict, said: tuple[str, ...], target: str) -> dict:
        count = len(content["messages"])
        subjects, previews = self._texts("phrase", count + 1), self._texts("sentence", count + 3)
        rows = zip(content["messages"], subjects, previews, strict=False)
        body = "\n\n".join(previews[count : count + self.rng.randint(1, 3)])
        return {
            "messages": [{**row, "subject": subject, "preview": preview} for row, subject, preview in rows],
            "draft": {**content["draft"], "subject": subjects[-1], "body": body},
        }

    def _search(self, content: dict, said: tuple[str, ...], target: str) -> dict:
        query, *phrases = self._texts("phrase", 13)
        snippets = self._texts("sentence", 4)
        results = [[title, text] for title, text in zip(phrases[:4], snippets, strict=True)]
        suggestions = [*([target] if target else []), *phrases[4:9]]
        return {"query": query, "results": results, "suggestions": suggestions, "recent": phrases[9:]}

    def _feed(self, content: dict, said: tuple[str, ...], target: str) -> dict:
        posts = zip(content["posts"], self._texts("sentence", len(content["posts"])), strict=True)
        comments = self._texts("talk", self.rng.randint(2, 5))
        return {"posts": [{**post, "text": text} for post, text in posts], "comments": comments}

    def _notes(self, content: dict, said: tuple[str, ...], target: str) -> dict:
        count = len(content["notes"])
        titles, lines = self._texts("phrase", count), self._texts("phrase", 4 * count)
        notes = [
            {"title": title, "lines": lines[4 * i : 4 * i + self.rng.randint(1, 4)]}
            for i, title in enumerate(titles)
        ]
        return {"note": notes[0], "notes": notes}
