"""Points at which a test can end the program, send it a signal or take its memory, exactly there.

They prove that nothing is lost whatever the instant. Outside of the tests they do nothing: they are
heeded only below a running pytest, which says so in the environment.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "FUSETRAIN_FAILPOINT"
EXIT_CODE = 86
MEMORY = "MEMORY"
TOO_MUCH = 1 << 60  # bytes, more than any machine has
_passed: dict[str, int] = {}


def failpoint(name: str) -> None:
    """End the process at this point, if the environment asks for it.

    ``FUSETRAIN_FAILPOINT`` is ``NAME``, ``NAME=SIGNAL`` to send a signal instead of ending, or
    ``NAME=MEMORY`` to ask PyTorch for more memory than there is; each may be followed by ``@N`` for
    the N-th time that the point is passed.

    Args:
        name: What the point is called, without ``=`` and ``@``.

    Raises:
        RuntimeError: What PyTorch says where the memory of the GPU in use, or else the main memory,
            does not suffice.
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
    if number == MEMORY:
        import torch

        device = "cuda" if torch.cuda.is_initialized() else "cpu"
        torch.empty(TOO_MUCH, dtype=torch.uint8, device=device)
    elif number:
        os.kill(os.getpid(), signal.Signals[number])
    else:
        os._exit(EXIT_CODE)
