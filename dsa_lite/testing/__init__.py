"""For authors of backends and tests: a scripted teacher, and the checks every student backend should pass.

    from dsa_lite.testing import check_student
    check_student(lambda options: open_student("path/to/a/small/model", options))

Each check opens its own students, trains them for a few steps and raises AssertionError with a sentence. They need a
small base that computes in float32 (a random one will do) whose context is at least 96 tokens.
"""

from dsa_lite.testing.student_checks import STUDENT_CHECKS, OpenStudent, check_student, make_batch
from dsa_lite.testing.teacher import ScriptedTeacher

__all__ = ["STUDENT_CHECKS", "OpenStudent", "ScriptedTeacher", "check_student", "make_batch"]
