"""Weights in the order that a DSP kernel streams them, one file a family of layouts."""
