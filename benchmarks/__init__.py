"""What ships, beside what other tools make of the same weights."""
