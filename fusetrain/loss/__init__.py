"""Target assignment and the detection loss."""
