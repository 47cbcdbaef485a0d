"""Hides secrets in texts that come from other programs: command lines, queries, source lines, titles.

It goes by form and not by meaning: passwords in URLs, values of keys and flags that are called a password, token, key
or secret, and keys that look like those of well-known services. What it hides too much is only missing from a report;
nothing here fails, whatever the text. core.database.dsn knows connection strings better, and is for cvdebug's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

HIDDEN = "***"

# The end of a key's name: DB_PASSWORD, --hf-token, aws_secret_access_key, x-api-key, but not tokenizer or passage.
_KEY = (
    r"(?:password|passwd|passphrase|(?<![a-z])(?:pass|pw)|pwd|secret|token|credentials?"
    r"|(?:api|access|private|secret|signing|account|encryption)[_-]?key(?:[_-]?id)?)"
)
_VALUE = r"""("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s,;&"')\]}]+)"""
_FLAG = re.compile(rf"--?[\w.-]*{_KEY}", re.IGNORECASE)
_SET = re.compile(rf"(-{{0,2}}[\w.-]*{_KEY}=).", re.IGNORECASE | re.DOTALL)

# Each keeps its first group, and hides the rest. Lengths are bounded, so that no text takes long.
_PATTERNS = (
    re.compile(r"(://[^\s/:@?#]{0,256}:)\S{1,2048}(?=@)"),
    re.compile(r"(https?://)[^\s/:@?#]{1,2048}(?=@)"),
    re.compile(rf"({_KEY}[\"'\]]{{0,2}}\s{{0,8}}[=:]{{1,2}}\s{{0,8}}){_VALUE}", re.IGNORECASE),
    re.compile(rf"((?<![\w-])--?[\w-]{{0,64}}{_KEY}\s{{1,8}})(?!-){_VALUE}", re.IGNORECASE),
    re.compile(r"(\b(?:password|identified\s{1,8}by)\s{1,8})'(?:[^']|'')*'?", re.IGNORECASE),
    re.compile(r"(\b(?:bearer|basic)\s{1,8})[\w.~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"()\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b"),
    re.compile(r"()\b(?:gh[opsur]_|github_pat_|glpat-|hf_|sk-|sk_live_|xox[abeoprs]-|AIza)[\w-]{16,}"),
    re.compile(r"()\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]{0,4096})?"),
)


def redact(text: str) -> str:
    """The text with every secret that can be told by its form shown as ***. Doing it again changes nothing."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def redact_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """The same for a command line, whose words tell where a secret ends: `--password`, `my secret`."""
    shown: list[str] = []
    for before, argument in zip(("", *arguments), arguments, strict=False):
        if _FLAG.fullmatch(before) and not argument.startswith("--"):
            shown.append(HIDDEN)
        elif found := _SET.match(argument):
            shown.append(found.group(1) + HIDDEN)
        else:
            shown.append(redact(argument))
    return tuple(shown)
