"""Batches -> run folder."""
