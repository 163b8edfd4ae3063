"""Points at which a test can end the program, or send it a signal, at an exact instant.

They prove that nothing is lost whatever the instant. Outside of the tests they do nothing: they are
heeded only below a running pytest, which says so in the environment.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "FUSETRAIN_FAILPOINT"
EXIT_CODE = 86
_passed: dict[str, int] = {}


def failpoint(name: str) -> None:
    """End the process at this point, if the environment asks for it.

    ``FUSETRAIN_FAILPOINT`` is ``NAME``, ``NAME=SIGNAL`` to send a signal instead of ending, either
    followed by ``@N`` for the N-th time that the point is passed.

    Args:
        name: What the point is called, without ``=`` and ``@``.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted or "PYTEST_CURRENT_TEST" not in os.environ:
        return
    rest, _, count = wanted.partition("@")
    place, _, number = rest.partition("=")
    if place != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] != int(count or 1):
        return
    if number:
        os.kill(os.getpid(), signal.Signals[number])
    else:
        os._exit(EXIT_CODE)
