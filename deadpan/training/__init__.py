"""Trains a method on batches and writes a run folder."""
