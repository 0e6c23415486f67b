"""Peripherals of STM32 parts: one file each, as far as the ports of edgeq use them."""
