"""Stored answers -> figures."""
