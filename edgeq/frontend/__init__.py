"""Loaders: a model or a file becomes a Graph."""
