"""JSON schemas as llama.cpp grammars. Child only."""

from __future__ import annotations

import json
from typing import Any

import llama_cpp as C
from llama_cpp.llama_grammar import json_schema_to_gbnf

#: The converter nests one optional per character; llama.cpp refuses the grammar a little above this.
_LONGEST = 1000


class BadSchema(Exception):
    """The schema cannot be turned into a grammar."""


class Grammars:
    """One parsed grammar per schema, copied for each request."""

    def __init__(self, vocab: Any) -> None:
        self._vocab = vocab
        self._parsed: dict[str, Any] = {}

    def sampler(self, schema: str) -> Any:
        """A fresh llama_sampler for JSON text `schema`; the caller frees it. Raises BadSchema."""
        if schema not in self._parsed:
            self._parsed[schema] = self._parse(schema)
        return C.llama_sampler_clone(self._parsed[schema])

    def _parse(self, schema: str) -> Any:
        try:
            text = json_schema_to_gbnf(json.dumps(_bounded(json.loads(schema))))
        except Exception as error:  # The converter raises whatever it stumbles over.
            raise BadSchema(f"the JSON schema cannot be turned into a grammar: {error!r}"[:300]) from error
        # The converter's strings let raw control characters through, which JSON does not.
        text = text.replace(r'char ::= [^"\\] |', r'char ::= [^"\\\x7F\x00-\x1F] |')
        sampler = C.llama_sampler_init_grammar(self._vocab, text.encode(), b"root")
        if not sampler:
            raise BadSchema(
                "the JSON schema gives a grammar that llama.cpp refuses; are its lengths or counts too large?"
            )
        return sampler


def _bounded(schema: Any) -> Any:
    """The schema without string lengths too large for a grammar; max_tokens still bounds the reply."""
    if isinstance(schema, list):
        return [_bounded(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    return {k: _bounded(v) for k, v in schema.items() if not (k == "maxLength" and isinstance(v, int) and v > _LONGEST)}
