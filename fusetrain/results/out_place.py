"""Places that a user names to write to, looked at before anything is computed for them."""

from __future__ import annotations

from pathlib import Path

from fusetrain.errors import ResourceError


def require_folder_place(folder: Path, *, flag: str) -> None:
    """Refuse a folder to write into where there is a file of its name, or a file above it.

    Args:
        folder: The folder; it need not be there.
        flag: What the user names it by.

    Raises:
        ResourceError: It cannot be a folder.
    """
    if folder.is_file():
        raise ResourceError(
            f"{flag} {folder} is a file, not a folder",
            expected="a folder, new or not",
            remedy=f"choose another {flag}",
        )
    require_no_file_above(folder, flag=flag)


def require_no_file_above(path: Path, *, flag: str) -> None:
    """Refuse a file or folder to write that would lie in a file.

    Args:
        path: The file or folder; it need not be there.
        flag: What the user names it by.

    Raises:
        ResourceError: One of the folders that it names is a file.
    """
    if file := next((above for above in path.parents if above.is_file()), None):
        raise ResourceError(
            f"{flag} {path} cannot be made: {file} is a file, not a folder",
            remedy=f"choose another {flag}",
        )
