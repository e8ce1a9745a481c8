"""safetensors files, read tensor by tensor as float32 and written as a stream: bfloat16 is no type of numpy."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsa_lite.errors import ModelError
from dsa_lite.model_files import weight_files, weight_header, weight_map

Floats = NDArray[np.float32]
#: Name of a number format -> bytes of one number.
WIDTHS = {"F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file: `kind` is F32, F16, BF16 or another name of safetensors; `start` counts in bytes."""

    name: str
    kind: str
    shape: tuple[int, ...]
    path: Path
    start: int
    size: int

    def raw(self) -> NDArray[np.uint8]:
        """Its bytes, mapped from the file."""
        if not self.size:
            return np.empty(0, np.uint8)
        return np.memmap(self.path, np.uint8, "r", self.start, self.size)

    def floats(self) -> Floats:
        """Its values. Raises ModelError for a format that is no plain floating point (quantised weights)."""
        if self.kind not in WIDTHS:
            raise ModelError(
                f"{self.path}: {self.name} is stored as {self.kind}", hint="export needs weights in F32, F16 or BF16"
            )
        raw = self.raw()
        if self.kind == "BF16":
            values = (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = raw.view("<f4" if self.kind == "F32" else "<f2").astype(np.float32)
        return values.reshape(self.shape)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of one file, by name. Raises ModelError when it is broken or cut short."""
    header, start = weight_header(path)
    try:
        found = {
            name: Tensor(name, entry["dtype"], tuple(entry["shape"]), path, start + begin, end - begin)
            for name, entry in header.items()
            for begin, end in [entry["data_offsets"]]
        }
        if max((t.start + t.size for t in found.values()), default=0) > path.stat().st_size:
            raise ValueError("it is cut short")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} is no readable safetensors file: {error}", hint="copy or download it again"
        ) from error
    return dict(sorted(found.items()))


def read_model(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model folder, whatever number of files they stand in; of two of one name, the index's."""
    place, found = weight_map(folder), dict[str, Tensor]()
    for path in weight_files(folder):
        tensors = read_tensors(path)
        found |= {name: t for name, t in tensors.items() if name not in found or place.get(name) == path.name}
    return found


def encode(values: Floats, kind: str) -> NDArray[Any]:
    """Values in a number format of WIDTHS, rounded to nearest even. BF16 comes as uint16."""
    if kind == "F32":
        return np.ascontiguousarray(values, "<f4")
    if kind == "F16":
        return np.ascontiguousarray(values, "<f2")
    bits = np.ascontiguousarray(values, "<f4").view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1)).astype(np.uint32)) >> 16
    quiet = (bits >> 16) | 0x40  # rounding must not turn a NaN into an infinity
    return np.where(np.isnan(values), quiet, rounded).astype("<u2")


@dataclass(frozen=True)
class Planned:
    """A tensor to write: `data` is called when its turn comes, so that one is in memory at a time."""

    name: str
    kind: str
    shape: tuple[int, ...]
    data: Callable[[], NDArray[Any]]
    size: int

    @classmethod
    def of(cls, name: str, values: Floats) -> Planned:
        """Float32 values that are there already."""
        return cls(name, "F32", values.shape, lambda: encode(values, "F32"), 4 * math.prod(values.shape))


def write_tensors(path: Path, planned: Iterable[Planned], made_by: str) -> None:
    """One safetensors file. `made_by` is the format its metadata names: pt or mlx."""
    tensors = sorted(planned, key=lambda t: t.name)
    header: dict[str, Any] = {"__metadata__": {"format": made_by}}
    offset = 0
    for t in tensors:
        header[t.name] = {"dtype": t.kind, "shape": list(t.shape), "data_offsets": [offset, offset + t.size]}
        offset += t.size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for t in tensors:
            data = t.data()
            assert data.nbytes == t.size, t.name
            file.write(np.ascontiguousarray(data).view(np.uint8).data if data.size else b"")
