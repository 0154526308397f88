"""Convolutions and matrix multiplications that are fast on a processor, chosen by shape."""
