"""Exports a run folder to an ONNX file with its model card."""
