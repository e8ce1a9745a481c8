"""Many requests through the bundled teacher; `examples/benchmarks/soak.py` does the same with 10,000."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("llama_cpp")

import dsa_lite
from dsa_lite.records import Message
from dsa_lite.teacher import Request, TeacherOptions
from dsa_lite_llama_cpp.teacher import LlamaCppTeacher

BUNDLED = next((Path(dsa_lite.__file__).parent / "bundled" / "teacher").glob("*.gguf"))
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string", "maxLength": 4}}, "required": ["answer"]}
COUNT = 600


def requests() -> Iterator[Request]:
    """One in fifty is too long for the model, one in fifty has a schema that is none."""
    for n in range(COUNT):
        content = f"exercise {n}" + " again" * (2000 if n % 50 == 3 else 0)
        schema = {"type": "nonsense"} if n % 50 == 7 else SCHEMA if n % 2 else None
        chat = (Message(role="user", content=content),)
        yield Request(id=f"r{n}", messages=chat, json_schema=schema, max_tokens=1 + n % 3, seed=n)


def resident(pid: int | None) -> int:
    """Bytes of memory the process has."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the child's memory")
def test_every_request_is_answered_or_rejected_once_and_memory_stays(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    memory = []
    with LlamaCppTeacher(str(BUNDLED), TeacherOptions(threads=1)) as teacher:
        for reply in teacher.write(requests()):
            seen[reply.id] += 1
            assert (reply.finish == "error") == bool(reply.error) == (int(reply.id[1:]) % 50 in (3, 7)), reply
            if seen.total() % 200 == 0:
                memory.append(resident(teacher.pid))
        # Every slot is free again: as many as there are write at a time, and then some.
        slots = int(teacher.layout["slots"])
        again = [r.model_copy(update={"id": f"again-{r.id}"}) for r in requests()][10 : 10 + slots + 5]
        assert sum(1 for _ in teacher.write(again)) == slots + 5
    assert seen.total() == len(seen) == COUNT
    assert memory[-1] - memory[0] < 8e6, memory
