"""Places to write to are looked at before anything is computed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusetrain.errors import ResourceError
from fusetrain.inference.prediction_files import refuse_inputs
from fusetrain.results.out_place import require_folder_place, require_no_file_above


def test_a_file_is_no_folder_to_write_to(tmp_path: Path) -> None:
    file = tmp_path / "keep.csv"
    file.write_text("kept")
    for look in (
        lambda: require_folder_place(file, flag="--out"),
        lambda: refuse_inputs(file, []),
    ):
        with pytest.raises(ResourceError, match=r"--out .*keep\.csv is a file, not a folder"):
            look()
    for look in (
        lambda: require_folder_place(file / "new", flag="--out"),
        lambda: require_no_file_above(file / "a" / "b.onnx", flag="--out"),
    ):
        with pytest.raises(ResourceError, match=r"cannot be made: .*keep\.csv is a file"):
            look()
    assert file.read_text() == "kept"


def test_folders_and_what_is_not_there_yet_are_free(tmp_path: Path) -> None:
    require_folder_place(tmp_path, flag="--out")
    require_folder_place(tmp_path / "new" / "deep", flag="--out")
    (tmp_path / "a.onnx").touch()
    require_no_file_above(tmp_path / "a.onnx", flag="--out")
