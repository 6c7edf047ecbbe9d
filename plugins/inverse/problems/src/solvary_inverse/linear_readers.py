"""Measured images from files: NPY, and PNG or PGM where Pillow is installed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from solvary import NotInstalled, ProblemError
from solvary_inverse.linear import LinearInverse
from solvary_inverse.named_operators import parse


def read_image(cls: type[LinearInverse], path: Path, **given: Any) -> LinearInverse:
    """A problem whose data are an image; grey values of PNG and PGM are scaled to [0, 1], colours averaged.

    `given` has at least `operator` and `noise`. Where it has no `shape`, the image that is sought has that of the file
    (times the factor of "downsample(factor)"); for the operator "mask" the file has a value at every pixel, and those
    where `mask` holds are taken.
    """
    image = np.asarray(np.load(path, allow_pickle=False) if path.suffix == ".npy" else _pixels(path))
    if image.ndim != 2:
        raise ProblemError("input", f"{path.name!r} has the shape {image.shape}", "an image (height, width)")
    for name in ("operator", "noise"):
        if name not in given:
            raise ProblemError(name, "is missing", f"what the image {path.name!r} was measured with")
    word, numbers = parse(given["operator"]) if isinstance(given["operator"], str) else ("", [])
    data = image.ravel()
    if word == "mask" and given.get("mask") is not None:
        mask = np.asarray(given["mask"], dtype=bool)
        if mask.size != image.size:
            raise ProblemError("mask", f"has shape {mask.shape}", f"the shape {image.shape} of the image")
        data = data[mask.ravel()]
    if word in ("mask", "blur"):
        given.setdefault("shape", image.shape)
    elif word == "downsample":
        given.setdefault("shape", tuple(int(length * numbers[0]) for length in image.shape))
    return cls(**{"data": data, **given})


def _pixels(path: Path) -> np.ndarray:
    try:
        Image = importlib.import_module("PIL.Image")
    except ImportError as error:
        raise NotInstalled(f"reading {path.suffix} files needs Pillow: pip install pillow") from error
    with Image.open(path) as opened:
        pixels = np.asarray(opened)
    # The largest value that the file can hold: images of 16 bits are opened as 32.
    largest = 1.0 if pixels.dtype == bool else 255.0 if pixels.dtype == np.uint8 else 65535.0
    pixels = pixels.astype(np.float64) / largest
    return pixels[..., :3].mean(axis=-1) if pixels.ndim == 3 else pixels
