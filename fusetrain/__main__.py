"""The way in: `fusetrain`, and `python -m fusetrain` for launchers that start modules.

Ctrl-C ends the program without a traceback while it is still being imported, too.
"""

from __future__ import annotations

import sys

ABORTED = 130  # as `errors.AbortedError`, which may not be imported yet


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        from fusetrain.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(ABORTED)


if __name__ == "__main__":
    main()
