"""From weights to files that run without fusetrain: ONNX, compared with the detector itself."""
