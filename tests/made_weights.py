"""Made-up entries "weights" of a manifest."""

PARTS = ("backbone", "regions", "global_view", "text", "user", "fusion")


def weights_entry(source: str = "checkpoint", **others: str) -> dict:
    """All parts from one source, but for those that are named with another."""
    sources = dict.fromkeys(PARTS, source) | others
    parts = {part: {"source": source, "detail": "a test's", "sha256": ""} for part, source in sources.items()}
    return {"sha256": "", "parts": parts}
