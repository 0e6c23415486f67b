"""Talks to a board: the serial link, traces of samples, energy figures."""
