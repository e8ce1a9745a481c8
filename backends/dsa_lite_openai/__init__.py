"""A teacher behind an OpenAI-compatible server: llama-server, vLLM, Ollama, LM Studio, or a cluster behind one URL.

`address` finds the server and the model, `server` speaks with it through the official client, `exchange` sees one
request through faults, `formats` and `completions` read what comes back, `concurrency` decides how many are in flight,
`embedding` turns texts into vectors, `loop` runs it all in a thread, `teacher` is what the caller sees.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from dsa_lite.errors import MissingExtra

if TYPE_CHECKING:
    from dsa_lite.teacher import Teacher, TeacherOptions

__all__ = ["open_teacher"]


def open_teacher(source: str, options: TeacherOptions) -> Teacher:
    """Open the server at URL `source`; `URL#model` names the model where it has several.

    The key is read from OPENAI_API_KEY; servers on one's own machine need none. Of the options only `in_flight` has a
    meaning here, the others are the server's business. Raises MissingExtra when a package is missing, UsageError when
    the URL or the model is wrong, TeacherError when no such server answers.
    """
    for package in ("openai", "jsonschema"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(
                f"a teacher behind a URL needs the package {package}", hint='pip install "dsa-lite[openai]"'
            )
    from dsa_lite_openai.teacher import OpenAITeacher

    return OpenAITeacher(source, options)
