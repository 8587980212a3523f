"""From a PyTorch encoder to a verified bundle: trace, fuse, quantize, write, check."""
