"""Names that look like other names (Unicode TR 39, PEP 672)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from scanner.model import Rule
from scanner.source import Hit, Source

DISGUISED = Rule(
    "SG241",
    "DisguisedIdentifier",
    "high",
    "A name is written in look-alike characters that Python turns into ASCII.",
    "Write the name in ASCII: Python reads it as that anyway (NFKC, PEP 3131).",
)
MIXED = Rule(
    "SG242",
    "MixedScriptIdentifier",
    "medium",
    "A name mixes scripts, so that two names that look the same can be different.",
    "Write the name in one script, best in ASCII.",
)
RULES = (DISGUISED, MIXED)

_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "HEBREW", "ARABIC")
_NAME_FIELDS = ("id", "attr", "name", "arg", "asname", "module")


def check(source: Source) -> Iterator[Hit]:
    """Yield a hit for each line with such a name."""
    if source.text.isascii():
        return
    names = _names(source)
    for number, line in enumerate(source.lines, 1):
        if line.isascii():
            continue
        for word in _words(line):
            read = unicodedata.normalize("NFKC", word)
            if read not in names:
                continue
            if read.isascii():
                yield Hit(DISGUISED, f"Python reads {word!a} as {read}", number, number)
            elif len(_scripts(read)) > 1:
                scripts = " and ".join(sorted(_scripts(word))).lower()
                yield Hit(MIXED, f"the name {word!a} mixes {scripts}", number, number)


def _words(line: str) -> Iterator[str]:
    """Yield the words of a line that are not ASCII and could be names."""
    word = ""
    for character in [*line, " "]:
        if ("_" + unicodedata.normalize("NFKC", character)).isidentifier():
            word += character
        else:
            if word and not word.isascii():
                yield word
            word = ""


def _names(source: Source) -> frozenset[str]:
    """Return every name of the syntax tree, as Python normalised it."""
    found: set[str] = set()
    for node in source.nodes:
        for field in _NAME_FIELDS:
            value = getattr(node, field, None)
            if isinstance(value, str):
                found.update(value.split("."))
    return frozenset(found)


def _scripts(word: str) -> set[str]:
    """Return the scripts of the letters of a word, by the names of its characters."""
    heads = (unicodedata.name(character, "").split(" ")[0] for character in word)
    return {head for head in heads if head in _SCRIPTS}
