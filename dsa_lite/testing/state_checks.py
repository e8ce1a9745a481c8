"""What every student backend should pass: resuming, forks, the optimiser, the average."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from dsa_lite.errors import ModelError
from dsa_lite.student import Student
from dsa_lite.testing.example_batches import OPTIONS, RATE, OpenStudent, batches_of


def check_resume(open_student: OpenStudent) -> None:
    """A state loaded into a new student goes on bit for bit, dropout included."""
    options = OPTIONS.model_copy(update={"lora_dropout": 0.2})
    with tempfile.TemporaryDirectory() as name, closing(open_student(options)) as student:
        batches = batches_of(student)
        for batch in batches:
            student.step(batch, RATE)
        student.save_state(Path(name))
        expected = [student.step(batch, RATE) for batch in batches]
        with closing(open_student(options)) as other:
            other.load_state(Path(name))
            assert [other.step(batch, RATE) for batch in batches] == expected, "a resumed student takes another path"


def check_saved_adapter(open_student: OpenStudent) -> None:
    """A student that loads a saved adapter is the one that saved it; a damaged one is refused and changes nothing."""
    with tempfile.TemporaryDirectory() as name, closing(open_student(OPTIONS)) as student:
        first, second = batches_of(student)
        student.step(first, RATE)
        student.save(Path(name))
        with closing(open_student(OPTIONS)) as other:
            untouched = other.score(second)
            other.load(Path(name))
            assert other.score(second) == student.score(second) != untouched, "a loaded adapter is another one"
        (file,) = Path(name).glob("*.safetensors")
        whole = file.read_bytes()
        for damaged in (whole[: len(whole) // 2], whole[:-4] + b"\xff\xff\xff\x7f", b""):
            file.write_bytes(damaged)
            with closing(open_student(OPTIONS)) as other:
                _refuses(other, Path(name))
                assert other.score(second) == untouched, "a damaged adapter is taken over in part"


def _refuses(student: Student, folder: Path) -> None:
    try:
        student.load(folder)
    except ModelError:
        return
    raise AssertionError("a damaged adapter is loaded")


def check_fork(open_student: OpenStudent) -> None:
    """A fork starts where the student is and leaves it untouched; its optimiser is a fresh one."""
    with closing(open_student(OPTIONS)) as student, closing(open_student(OPTIONS)) as undisturbed:
        first, second = batches_of(student)
        for each in (student, undisturbed):
            each.step(first, RATE)
        before = student.score(second)
        fork = student.fork()
        assert fork.score(second) == before, "a fork does not start where the student is"
        for _ in range(3):
            fork.step(second, 1e-2)
        assert fork.score(second) != before, "a fork does not learn"
        fork.close()
        assert student.score(second) == before, "training a fork changes the student"
        for each in (student, undisturbed):
            each.step(second, RATE)
        assert student.score(first) == undisturbed.score(first), "training a fork changes the student's optimiser"


def check_avoid(open_student: OpenStudent) -> None:
    """Nothing changes at first, whatever was learned before; from there it learns another way, the same every time."""
    with closing(open_student(OPTIONS)) as student, closing(open_student(OPTIONS)) as other:
        first, second = batches_of(student)
        untouched, rows = student.score(first), batches_of(student)
        student.step(first, RATE)
        for each in (student, other):
            each.avoid(rows)
            assert each.score(first) == untouched, "an adapter that has just begun changes something"
        for each in (student, other):
            each.step(second, RATE)
            each.step(second, RATE)
        assert student.score(first) == other.score(first), "what was there before avoid matters after it"
        with closing(open_student(OPTIONS)) as plain:
            plain.step(second, RATE)
            plain.step(second, RATE)
            assert plain.score(first) != student.score(first), "avoid changes nothing"


def check_reset_optimizer(open_student: OpenStudent) -> None:
    """After a reset a student goes on like a fork, whose optimiser is fresh."""
    with closing(open_student(OPTIONS)) as student:
        first, second = batches_of(student)
        student.step(first, RATE)
        fork = student.fork()
        fork.step(second, RATE)
        expected = fork.score(first)
        fork.close()
        student.reset_optimizer()
        student.step(second, RATE)
        assert student.score(first) == expected, "reset_optimizer leaves something behind"


def check_average(open_student: OpenStudent) -> None:
    """The mean of what was counted takes the adapter's place, also after a resume; a fork does not share it."""
    with closing(open_student(OPTIONS)) as student, closing(open_student(OPTIONS)) as resumed:
        first, second = batches_of(student)
        student.take_average()
        untouched = student.score(first)
        student.add_to_average()
        student.step(first, RATE)
        with tempfile.TemporaryDirectory() as folder:
            student.save_state(Path(folder))
            resumed.load_state(Path(folder))
        trained = student.score(first)
        assert trained != untouched, "nothing was learned: the check says nothing"
        fork = student.fork()
        fork.take_average()
        assert fork.score(first) == trained, "a fork shares the average"
        fork.close()
        for each in (student, resumed):
            each.take_average()
            assert each.score(first) == untouched, "the mean of one is not that one"
            each.step(second, RATE)
            each.add_to_average()
            each.step(first, RATE)
            each.add_to_average()
        ends = student.score(second)
        student.take_average()
        assert student.score(second) != ends, "the mean of two is the last"
        resumed.take_average()
        assert resumed.score(second) == student.score(second), "a resumed student has another mean"
