"""A teacher that runs a GGUF file through llama.cpp, in a process of its own.

`teacher process gguf_file prompts conversation` run in the caller's process and never load llama.cpp;
`child engine context model sampling grammar` run in the child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsa_lite.teacher import Teacher, TeacherOptions

__all__ = ["open_teacher"]


def open_teacher(source: str, options: TeacherOptions) -> Teacher:
    """Open the GGUF file at path `source`. The child process is started, and loads the model, at the first write.

    Raises MissingExtra when llama-cpp-python is not installed, ModelError when the file is missing, is no GGUF or is
    cut short; the first write raises ModelError when llama.cpp cannot load it.
    """
    from dsa_lite_llama_cpp.teacher import LlamaCppTeacher

    return LlamaCppTeacher(source, options)
