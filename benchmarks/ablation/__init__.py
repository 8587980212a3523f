"""Every preset, and Option A with each single slot exchanged, measured: `python -m benchmarks ablation`."""
