"""One training run from its first line to its last figure: put together, run, resumed, recorded."""
