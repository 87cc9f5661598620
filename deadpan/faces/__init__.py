"""Photograph or video frame -> faces -> aligned crops."""
