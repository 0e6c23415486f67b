"""Boards that are shared: a place flashed, models run over a whole farm (docs/farm.md)."""
