"""What a GGUF file says about itself: read and checked without llama.cpp."""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dsa_lite.errors import ModelError

_HINT = "download the file again, or give another .gguf model"
_VERSION_HINT = "give a file that llama.cpp's convert_hf_to_gguf.py writes today for this machine"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
#: ggml type -> (values per block, bytes per block); a type not listed counts as one byte.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
_FIRST_PART = re.compile(r"-00001-of-(\d{5})\.gguf$")
_SMALL = 64 << 20
_EDGE = 1 << 20


@dataclass(frozen=True)
class GgufFile:
    """Header of a complete file. `metadata` has every scalar, string and array of strings."""

    path: Path
    metadata: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.metadata.get("general.name") or self.path.stem)

    @property
    def chat_template(self) -> str | None:
        template = self.metadata.get("tokenizer.chat_template")
        return template if isinstance(template, str) and template else None

    def special_tokens(self) -> dict[str, str]:
        """`bos_token` and `eos_token` as text, "" where the model has none."""
        tokens = self.metadata.get("tokenizer.ggml.tokens", [])
        found = {}
        for name in ("bos", "eos"):
            number = self.metadata.get(f"tokenizer.ggml.{name}_token_id")
            known = isinstance(number, int) and 0 <= number < len(tokens)
            found[f"{name}_token"] = tokens[number] if known else ""
        return found

    def fingerprint(self) -> str:
        """sha256 of the bytes, of every part of a split file; from 64 MB on of the size and the first and last MB."""
        digest = hashlib.sha256()
        for path in self._parts():
            size = path.stat().st_size
            with path.open("rb") as file:
                if size < _SMALL:
                    digest.update(file.read())
                else:
                    digest.update(f"{size}:".encode() + file.read(_EDGE))
                    file.seek(size - _EDGE)
                    digest.update(file.read())
        return digest.hexdigest()

    def _parts(self) -> list[Path]:
        """This file, and the other parts that llama.cpp reads with it."""
        match = _FIRST_PART.search(self.path.name)
        count = int(match[1]) if match else 1
        start = self.path.name[: match.start()] if match else ""
        others = [self.path.with_name(f"{start}-{n:05d}-of-{count:05d}.gguf") for n in range(2, count + 1)]
        return [self.path, *(part for part in others if part.exists())]


def read_gguf(source: str) -> GgufFile:
    """Header of the file at `source`. Raises ModelError when it is missing, no GGUF, or cut short."""
    path = Path(source).expanduser()
    if path.is_dir():
        raise ModelError(f"the teacher {path} is a folder, not a .gguf file", hint="give the path of a .gguf file")
    try:
        with path.open("rb") as file:
            return _read(path, file, path.stat().st_size)
    except FileNotFoundError as error:
        raise ModelError(f"there is no teacher file {path}", hint="give the path of a .gguf file") from error
    except OSError as error:
        raise ModelError(f"the teacher file {path} cannot be read: {error.strerror}", hint=_HINT) from error
    except (EOFError, OverflowError, MemoryError) as error:
        raise ModelError(f"the teacher file {path} is cut short inside its header", hint=_HINT) from error
    except (ValueError, KeyError, struct.error) as error:
        raise ModelError(f"the teacher file {path} is no readable GGUF file: {error}", hint=_HINT) from error


def _read(path: Path, file: BinaryIO, size: int) -> GgufFile:
    if size == 0:
        raise ValueError("it is empty")
    magic = file.read(4)
    if magic == b"vers":
        raise ModelError(f"the teacher file {path} is the place-holder of a large file", hint="git lfs pull fetches it")
    if magic != b"GGUF":
        raise ValueError(f"it starts with {magic!r}, not b'GGUF'")
    reader = _Reader(file, size)
    version = reader.scalar(4)
    if version not in (2, 3):
        raise ModelError(f"the teacher file {path} is {_version_words(version)}", hint=_VERSION_HINT)
    tensors, pairs = reader.scalar(10), reader.scalar(10)
    metadata: dict[str, Any] = {}
    for _ in range(pairs):
        key = reader.string()
        value = reader.value(reader.scalar(4))
        if value is not None:
            metadata[key] = value
    end = max((reader.tensor_end() for _ in range(tensors)), default=0)
    alignment = int(metadata.get("general.alignment", 32))
    needed = -(-file.tell() // alignment) * alignment + end
    if size < needed:
        raise ModelError(
            f"the teacher file {path} is cut short: {size} bytes, its header promises {needed}", hint=_HINT
        )
    return GgufFile(path=path, metadata=metadata)


def _version_words(version: int) -> str:
    if version in (2 << 24, 3 << 24):  # the number with its bytes the other way round
        return "written for big-endian machines"
    return f"a GGUF file of version {version}, known are 2 and 3"


class _Reader:
    """Reads the header's values; EOFError where the file ends too early."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    def scalar(self, kind: int) -> Any:
        code = "<" + _SCALARS[kind]
        return struct.unpack(code, self._bytes(struct.calcsize(code)))[0]

    def string(self) -> str:
        return self._bytes(self.scalar(10)).decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.scalar(kind)
        inner, count = self.scalar(4), self.scalar(10)
        if inner == _STRING:
            return [self.string() for _ in range(count)]
        if inner == _ARRAY:
            return [self.value(_ARRAY) for _ in range(count)]
        self._bytes(struct.calcsize("<" + _SCALARS[inner]) * count)
        return None

    def tensor_end(self) -> int:
        """Where the next tensor's bytes end, counted from the start of the tensor data."""
        self.string()
        values = 1
        for _ in range(self.scalar(4)):
            values *= self.scalar(10)
        kind, offset = self.scalar(4), self.scalar(10)
        per_block, size = _BLOCKS.get(kind, (values or 1, 1))
        return int(offset + -(-values // per_block) * size)

    def _bytes(self, count: int) -> bytes:
        # Checked first: a broken length must not make Python ask for terabytes.
        if count > self._size - self._file.tell():
            raise EOFError
        return self._file.read(count)
