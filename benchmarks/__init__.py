"""Many bundles side by side: what other tools make, presets and exchanged slots, published phones."""
