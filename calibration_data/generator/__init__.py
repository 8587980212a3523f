"""What draws screens: their plan, scenes and texts, the pages that show them, and a browser."""

from pathlib import Path

GENERATOR = Path(__file__).parent
