"""The keys of other trainers: what each becomes here, or why it is left out.

The names are those of Ultralytics' configuration page, of the hyp.yaml of the YOLOv5 family, and of
the articles on YOLOFuse. Only names and meanings are here; values are turned in `values.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fusetrain.config.foreign import values
from fusetrain.config.foreign.values import Convert, left, only, to


@dataclass(frozen=True)
class Key:
    """What becomes of one foreign key.

    Attributes:
        says: What the table of docs/moving.md shows: the key here, or what stands for the key.
        convert: Turns its value.
    """

    says: str
    convert: Convert


def _same(group: str, *names: str) -> dict[str, Key]:
    """Keys whose name, unit and meaning are those of ours."""
    return {name: Key(f"`{group}.{name}`", to(f"{group}.{name}")) for name in names}


def _left(reason: str, *names: str) -> dict[str, Key]:
    return {name: Key(reason, left(reason)) for name in names}


def _only(usual: object, reason: str, *names: str) -> dict[str, Key]:
    return {name: Key(f"`{str(usual).lower()}`; {reason}", only(usual, reason)) for name in names}


RUN: Mapping[str, Key] = {
    "task": Key("`detect` is all there is", values.task),
    "mode": Key("a command: `train`, `val`, `predict`, `export`", left("the command says it")),
    "model": Key("`model.size`, by the letter in the name", values.model_size),
    "cfg": Key("`model.size`, by the letter in the name", values.model_size),
    "data": Key("`data`; it has to name the infrared images too", to("data")),
    **_same("train", "epochs", "patience", "workers", "seed", "deterministic"),
    "compile": Key("`train.compile`", values.compiled),
    **_left("lengths are told in epochs, not in hours", "time"),
    "batch": Key("`train.batch`; -1 and shares become `auto`", values.batch),
    "batch_size": Key("`train.batch`", values.batch),
    "imgsz": Key("`train.imgsz`", values.image_size),
    "img_size": Key("`train.imgsz`", values.image_size),
    "save": Key("the state is always saved", only(True, "a run always saves its state")),
    "save_period": Key("`train.save_every: {epochs: N}`", values.save_period),
    "cache": Key("`train.cache`", values.cache),
    "device": Key("`train.device`, several: `train.devices`", values.device),
    "project": Key("`run.project`", to("run.project")),
    "name": Key("`run.name`", to("run.name")),
    "exist_ok": Key("a name that is taken gets a number", only(False, "no run is overwritten")),
    "pretrained": Key("`model.weights` names a file", values.pretrained),
    "weights": Key("`model.weights` names a file", values.pretrained),
    "optimizer": Key("`optim.name`", values.optimizer),
    **_left("changes nothing about a training", "verbose", "plots", "profile", "save_dir"),
    **_only(False, "give the data YAML one name", "single_cls"),
    **_only(False, "canvases are square while training", "rect", "multi_scale"),
    "cos_lr": Key("`schedule.name`: cosine or linear", values.cosine),
    **_same("augment", "close_mosaic"),
    "resume": Key("the command `resume RUN`", only(False, "`fusetrain resume RUN` goes on")),
    "amp": Key("`train.amp`", values.precision),
    "fraction": Key("a list of images in the data YAML", only(1.0, "list the images to train on")),
    "freeze": Key("`train.freeze`, parts by name", values.freeze),
    "val": Key("`train.val_every`", only(True, "train.val_every says how often")),
    "fuse_type": Key("`model.fusion`", values.fusion),
    "fusion_type": Key("`model.fusion`", values.fusion),
    "fusion": Key("`model.fusion`", values.fusion),
}
RATES: Mapping[str, Key] = {
    **_same("optim", "lr0", "momentum", "weight_decay"),
    "lrf": Key("`schedule.lrf`", to("schedule.lrf")),
    "warmup_epochs": Key("`schedule.warmup.epochs`", to("schedule.warmup.epochs")),
    "warmup_momentum": Key("`schedule.warmup.momentum`", to("schedule.warmup.momentum")),
    "warmup_bias_lr": Key("`schedule.warmup.bias_lr`", to("schedule.warmup.bias_lr")),
    "nbs": Key(
        "`train.accumulate`, so that a step sees as many pairs",
        left("it takes a number for `batch` to tell `train.accumulate`"),
    ),
}
LOSSES: Mapping[str, Key] = {
    **_same("loss", "box", "cls", "dfl", "label_smoothing"),
    **_left("another task", "pose", "kobj", "rle", "angle", "overlap_mask", "mask_ratio"),
    **_left("another task", "kpt_shape", "flip_idx", "retina_masks"),
    **_left("there are no anchors and no objectness", "obj", "obj_pw", "anchor_t", "anchors"),
    **_left("the loss is another one", "cls_pw", "iou_t", "fl_gamma", "loss_ota"),
    **_only(0.0, "there is no dropout", "dropout"),
}
AUGMENT: Mapping[str, Key] = {
    **_same("augment", "hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale"),
    **_same("augment", "fliplr", "mosaic", "mixup"),
    **_only(0.0, "not drawn here", "shear", "perspective", "flipud", "bgr", "cutmix"),
    **_only(0.0, "not drawn here", "paste_in", "cutout"),
    **_only(0.0, "of outlines; `augment.copy_paste` pastes boxes", "copy_paste"),
    **_left("for other tasks", "copy_paste_mode", "auto_augment", "erasing", "crop_fraction"),
    **_left("not drawn here", "augmentations"),
}
OTHERS: Mapping[str, Key] = {
    **_left("`fusetrain val --split`", "split"),
    **_left("`fusetrain val --json`", "save_json", "save_hybrid"),
    **_left("`fusetrain predict --conf`", "conf"),
    **_left("`fusetrain predict --iou`", "iou"),
    **_left("300 boxes a pair", "max_det"),
    **_left("precision is that of the weights", "half", "int8", "dnn"),
    **_left("`fusetrain predict --rgb PATH --ir PATH`", "source"),
    **_left("`fusetrain predict --txt`", "save_txt", "save_conf"),
    **_left("an option of another command", "vid_stride", "stream_buffer", "visualize", "augment"),
    **_left("an option of another command", "agnostic_nms", "classes", "embed", "show"),
    **_left("an option of another command", "save_frames", "save_crop", "show_labels"),
    **_left("an option of another command", "show_conf", "show_boxes", "line_width", "tracker"),
    **_left("`fusetrain export`", "format", "keras", "optimize", "dynamic", "simplify", "opset"),
    **_left("`fusetrain export`", "workspace", "nms", "batch_export", "end2end"),
    **_left("a file of its own: import it too", "hyp"),
}
GROUPS: Mapping[str, Mapping[str, Key]] = {
    "Run": RUN,
    "Optimizer and schedule": RATES,
    "Loss": LOSSES,
    "Augmentation": AUGMENT,
    "Other commands": OTHERS,
}
KEYS: Mapping[str, Key] = {name: key for group in GROUPS.values() for name, key in group.items()}
DATA_KEYS: Mapping[str, Key] = {
    "path": Key("`path`; relative to the data YAML", to("path")),
    "train": Key("`train`", to("train")),
    "val": Key("`val`", to("val")),
    "test": Key("`test`", to("test")),
    "names": Key("`names`", to("names")),
    **{
        f"{split}_ir": Key("`ir`, the folder name that differs", left("set by hand: ir"))
        for split in ("train", "val", "test")
    },
    **_left("the number of `names` says it", "nc", "ch"),
    "channels": Key("4: `channels: rgbt`", values.channels),
    **_left("data YAMLs hold no code and load nothing from a network", "download"),
    **_left("another task", "kpt_shape", "flip_idx", "kpt_names"),
}
