"""Text to vectors: a model under ONNX, or an external one behind the same calls."""
