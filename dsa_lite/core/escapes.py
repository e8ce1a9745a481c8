r"""Text whose backslashes were escaped once too little: "\frac" in JSON is a form feed and "rac".

Models and people write LaTeX into JSON that way. Where the command is certain it is restored, what is left of control
characters is refused: nothing with one in it is trained on.
"""

from __future__ import annotations

import json
import re
from typing import Any

#: What a control character has eaten the beginning of, by the character: the rest of commands that is no word itself.
_COMMANDS = {
    "\f": r"rac|orall|lat|rown|box",
    "\b": r"eta|ar|inom|egin|f|oldsymbol|ig[glrcupo]*|oxed|mod|ullet|ecause|ot|reve|ackslash|owtie|umpeq|eth",
    "\t": r"imes|heta|ext(?=\{)|ext(?:bf|it|rm|tt)(?=\{)|frac|au|riangle[a-z]*|herefore|ilde|an(?=[\\({^])|anh"
    r"|o(?=\s*(?:\\|-?\d|[+-]?∞|[a-z]\b))",
    "\n": r"abla|eq|otin|ot(?=\s*[=\\])|earrow|ewline|otag|cong|leq|geq|(?<=[\w)}] \n)e(?= -?\d)",
    "\r": r"ightarrow|ight(?=\s*[])|}.>\\])|ho|angle|floor|ceil|m(?=\{)|brace|brack|vert|oot|ightleftharpoons",
}
_EATEN = re.compile("|".join(rf"{re.escape(sign)}(?:{rest})(?![A-Za-z])" for sign, rest in _COMMANDS.items()))
_LETTERS = {"\f": "f", "\b": "b", "\t": "t", "\n": "n", "\r": "r"}
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_PAIR = re.compile(r'\\(u[0-9a-fA-F]{4}|["\\/bfnrt]|(?s:.)|$)')


class BrokenText(ValueError):
    """A text with a character that no text has; the message names it."""


def restored(text: str) -> str:
    r"""The text with the beginnings of LaTeX commands put back and "\n" as the one line end.

    Raises BrokenText where a control character or half of a surrogate pair is left.
    """
    if _CONTROL.search(text) or "\t" in text or "\n" in text:
        text = _EATEN.sub(lambda found: "\\" + _LETTERS[found[0][0]] + found[0][1:], text)
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    found = _CONTROL.search(text)
    if found is None:
        return text
    if found[0] >= "\ud800":
        raise BrokenText(f"half of a character (U+{ord(found[0]):04X}) in {_near(text, found.start())}")
    cause = ": is a backslash of LaTeX escaped once too little?" if found[0] in _LETTERS else ""
    raise BrokenText(f"control character U+{ord(found[0]):04X} in {_near(text, found.start())}{cause}")


def all_restored(value: Any, *, drop: bool = False) -> Any:
    """A value as JSON has them, every text in it restored; keys stay.

    drop: entries of lists that cannot be restored are left out, so that one bad name costs no whole list.
    """
    if isinstance(value, str):
        return restored(value)
    if isinstance(value, list):
        parts = []
        for part in value:
            try:
                parts.append(all_restored(part, drop=drop))
            except BrokenText:
                if not drop:
                    raise
        return parts
    if isinstance(value, dict):
        return {key: all_restored(part, drop=drop) for key, part in value.items()}
    return value


def load_json(text: str, *, drop: bool = False) -> Any:
    r"""JSON as models write it: line ends and tabs inside texts, "\sqrt" and "\(" escaped once too little.

    Raises json.JSONDecodeError for what is none, BrokenText for a text that cannot be restored.
    """
    try:
        value = json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        if "escape" not in error.msg:
            raise
        value = json.loads(_PAIR.sub(_escaped, text), strict=False)
    return all_restored(value, drop=drop)


def _escaped(found: re.Match[str]) -> str:
    return found[0] if re.fullmatch(r'u[0-9a-fA-F]{4}|["\\/bfnrt]', found[1]) else "\\\\" + found[1]


def _near(text: str, place: int) -> str:
    return ascii(text[max(0, place - 10) : place + 12])
