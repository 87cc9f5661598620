"""Answers -> figures."""
