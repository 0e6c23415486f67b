"""Peripherals of RP2040: one file each, as far as the port of edgeq uses them."""
