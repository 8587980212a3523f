"""Every preset, and balanced with each single slot exchanged, measured: `python -m benchmarks ablation`."""
