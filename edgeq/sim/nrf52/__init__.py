"""Peripherals of nRF52840: one file each, as far as the port of edgeq uses them."""
