"""For authors of backends and tests: a scripted teacher, and the checks every backend should pass.

    from dsa_lite.testing import check_student, check_teacher
    check_student(lambda options: open_student("path/to/a/small/model", options))
    check_teacher(lambda options: open_teacher("what it is opened with", options))

Each check opens its own students or teachers and raises AssertionError with a sentence. Students are trained for a few
steps; they need a small base that computes in float32 (a random one will do) whose context is at least 96 tokens.
"""

from dsa_lite.testing.example_batches import OpenStudent, make_batch
from dsa_lite.testing.student_checks import STUDENT_CHECKS, check_student
from dsa_lite.testing.teacher import ScriptedTeacher
from dsa_lite.testing.teacher_checks import TEACHER_CHECKS, OpenTeacher, check_teacher

__all__ = [
    "STUDENT_CHECKS",
    "TEACHER_CHECKS",
    "OpenStudent",
    "OpenTeacher",
    "ScriptedTeacher",
    "check_student",
    "check_teacher",
    "make_batch",
]
