"""A tokenizer for SQL text: enough of each dialect's lexical rules to tell names from the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from functools import cache
from typing import NamedTuple

from landscape_compat.schema.letters import ASCII_UPPER, BEGINS_NAME, IN_NAME
from landscape_compat.schema.shape import fold_letters, fold_name

__all__ = [
    "DUCKDB",
    "MARIADB",
    "NAMES",
    "POSTGRESQL",
    "SQLITE",
    "Syntax",
    "Token",
    "TokenKind",
    "is_mark",
    "is_operator",
    "is_word",
    "tokenize",
]


class TokenKind(Enum):
    """What a token is. Space and comments are not tokens."""

    WORD = auto()
    QUOTED = auto()
    STRING = auto()
    NUMBER = auto()
    PARAMETER = auto()
    OPERATOR = auto()


# The kinds that are names wherever they stand.
NAMES = (TokenKind.WORD, TokenKind.QUOTED)


class Token(NamedTuple):
    """A piece of SQL text.

    Args:
        kind: What it is.
        text: A word upper-cased, an operator as it is, a quoted name or string unquoted; else "".
        name: The name it stands for where it stands for one, folded as the dialect does.
        start: Offset of its first character.
        end: Offset after its last character.
    """

    kind: TokenKind
    text: str
    name: str
    start: int
    end: int


def is_operator(token: Token) -> bool:
    """Tell whether a token is an operator, a parenthesis or another mark."""
    return token.kind is TokenKind.OPERATOR


def is_mark(token: Token | None, *marks: str) -> bool:
    """Tell whether a token is one of some operators, parentheses or other marks."""
    return token is not None and token.kind is TokenKind.OPERATOR and token.text in marks


def is_word(token: Token | None, *words: str) -> bool:
    """Tell whether a token is one of some words, given in upper case."""
    return token is not None and token.kind is TokenKind.WORD and token.text in words


class Syntax(NamedTuple):
    """The lexical rules of one dialect.

    Args:
        name: SQLAlchemy's name of the dialect.
        pattern: A regular expression with one alternative a token, each a named group.
        folds_quoted: Whether quoted names compare without regard to case.
        nested_comments: Whether block comments nest.
        strings_as_names: Whether a string literal is a name where a table is expected.
        doubles_percent: Whether the driver takes `%%` for a percent sign, also in names.
        row_numbers: The names of what every table has besides its columns, as a hidden row number.
        folds: How names are folded that compare without regard to case.
        admits_by_list: Whether only statements that are known to do no harm are admitted.
        writes_parameters: Whether a driver that takes `%%` for a percent sign writes the
            parameters into the text itself.
    """

    name: str
    pattern: str
    folds_quoted: bool
    nested_comments: bool
    strings_as_names: bool
    doubles_percent: bool = False
    row_numbers: frozenset[str] = frozenset()
    folds: Callable[[str], str] = fold_name
    admits_by_list: bool = False
    writes_parameters: bool = False

    @property
    def formats(self) -> bool:
        """Tell whether the text is a format that the driver fills in."""
        return self.writes_parameters and self.doubles_percent

    def fold(self, name: str, *, quoted: bool) -> str:
        """Fold a name as the dialect compares it."""
        return name if quoted and not self.folds_quoted else self.folds(name)


_NUMBER = r"0[xX][0-9A-Fa-f_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?"
# DuckDB begins a name where a digit would have to follow.
_DIGITS = r"\d+(?:_\d+)*"
_DECIMAL = rf"(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?"
_SPACES = r"[\u00a0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff]"
_LINE_COMMENT = r"--[^\n]*"
_SINGLE_QUOTED = r"'(?:[^']|'')*(?:'|\Z)"
_DOUBLE_QUOTED = r'"(?:[^"]|"")*(?:"|\Z)'

# Source: https://www.sqlite.org/lang.html and the tokenizer's documented behaviour: a byte order
# mark is space, an unclosed block comment ends with the text, [x] has no escape, a parameter may
# carry Tcl's `::` and a suffix in parentheses.
SQLITE = Syntax(
    name="sqlite",
    pattern=rf"""(?P<space>[ \t\n\f\r\ufeff]+|{_LINE_COMMENT})
        |(?P<comment>/\*(?=.))
        |(?P<blob>[xX]'[^']*(?:'|\Z))
        |(?P<string>{_SINGLE_QUOTED})
        |(?P<quoted>{_DOUBLE_QUOTED}|`(?:[^`]|``)*(?:`|\Z)|\[[^\]]*(?:\]|\Z))
        |(?P<parameter>\?\d*|[$@\#:](?:{IN_NAME}|::)+(?:\([^)\s]*\))?)
        |(?P<number>{_NUMBER})
        |(?P<word>(?!\ufeff){BEGINS_NAME}{IN_NAME}*)
        |(?P<operator>->>|->|\|\||<<|>>|<=|>=|<>|!=|==|.)""",
    folds_quoted=True,
    nested_comments=False,
    strings_as_names=True,
    row_numbers=frozenset({"rowid", "oid", "_rowid_"}),
)

# Source: PostgreSQL manual, 4.1 Lexical Structure; and the placeholders of its drivers.
POSTGRESQL = Syntax(
    name="postgresql",
    pattern=rf"""(?P<space>[ \t\n\f\r\v]+|--[^\n\r]*)
        |(?P<comment>/\*)
        |(?P<dollar>\$(?P<tag>(?:{BEGINS_NAME}(?:(?!\$){IN_NAME})*)?)\$)
        |(?P<escaped>[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z))
        |(?P<blob>(?:[xXbBnN]|[uU]&)'(?:[^']|'')*(?:'|\Z))
        |(?P<string>{_SINGLE_QUOTED})
        |(?P<unicode>[uU]&{_DOUBLE_QUOTED})
        |(?P<quoted>{_DOUBLE_QUOTED})
        |(?P<parameter>\$\d+|%s|%b|%t|%\([^)]*\)[sbt])
        |(?P<number>{_NUMBER})
        |(?P<word>{BEGINS_NAME}{IN_NAME}*)
        |(?P<operator>::|->>|->|\|\||<=|>=|<>|!=|%%|.)""",
    folds_quoted=False,
    nested_comments=True,
    strings_as_names=False,
    # Section 5.6, System Columns.
    row_numbers=frozenset({"cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"}),
)

# Source: https://duckdb.org/docs/current/sql/dialect/keywords_and_identifiers, and the behaviour of
# 1.4 and 2.0: the rules of PostgreSQL, but for names, which compare without regard to case, for
# Unicode's spaces, which are spaces, and for a string where a table is expected, which is its name.
DUCKDB = Syntax(
    name="duckdb",
    pattern=rf"""(?P<space>(?:[ \t\n\f\r\v]|{_SPACES})+|--[^\n\r]*)
        |(?P<comment>/\*)
        |(?P<dollar>\$(?P<tag>(?:{BEGINS_NAME}(?:(?!\$){IN_NAME})*)?)\$)
        |(?P<escaped>[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z))
        |(?P<blob>[xXbB]'(?:[^']|'')*(?:'|\Z))
        |(?P<string>{_SINGLE_QUOTED})
        |(?P<quoted>{_DOUBLE_QUOTED}|`(?:[^`]|``)*(?:`|\Z))
        |(?P<parameter>\?\d*|\#\d+|\$(?:\d+|\w+))
        |(?P<number>{_DECIMAL})
        |(?P<word>(?!{_SPACES}){BEGINS_NAME}(?:(?!{_SPACES}){IN_NAME})*)
        |(?P<operator>::|->>|->|=>|:=|\|\||<=|>=|<>|!=|==|\*\*|//|.)""",
    folds_quoted=True,
    nested_comments=True,
    strings_as_names=True,
    row_numbers=frozenset({"rowid"}),
)

# Source: https://mariadb.com/kb/en/identifier-names/, /comment-syntax/ and /string-literals/, and
# what 10.11 does, with no sql_mode that changes it: a dash is a comment's only before a space, what
# a comment with `!` holds is executed, a number that goes on as a name is one, and so is whatever
# stands behind a point.
MARIADB = Syntax(
    name="mariadb",
    pattern=rf"""(?P<space>[ \t\n\v\f\r]+|\#[^\n]*|--(?=[\x00-\x20\x7f]|\Z)[^\n]*)
        |(?P<executed>/\*M?!)
        |(?P<comment>/\*)
        |(?P<blob>[xXbB]'[^']*(?:'|\Z))
        |(?P<escaped>[nN]?'(?:[^'\\]|''|\\.)*(?:'|\Z)|"(?:[^"\\]|""|\\.)*(?:"|\Z))
        |(?P<quoted>`(?:[^`]|``)*(?:`|\Z))
        |(?P<parameter>\?|%s|%\([^)]*\)s|@@?(?:{IN_NAME}|\.)+)
        |(?P<number>(?<!\.)(?:(?:0x[0-9A-Fa-f]+|0b[01]+)(?!{IN_NAME})|\d+[eE][+-]?\d+
            |(?:\d+\.\d*|(?<!{IN_NAME})\.\d+)(?:[eE][+-]?\d+)?|\d+(?!{IN_NAME})))
        |(?P<word>{IN_NAME}+)
        |(?P<operator>:=|<=>|<=|>=|<>|!=|<<|>>|&&|\|\||%%|.)""",
    folds_quoted=True,
    nested_comments=False,
    strings_as_names=False,
    # Another name of a key that is one whole number.
    row_numbers=frozenset({"_rowid"}),
    folds=fold_letters,
    admits_by_list=True,
    writes_parameters=True,
)

_UESCAPE = re.compile(r"\s*UESCAPE\s*'([^0-9A-Fa-f+'\"\s])'", re.IGNORECASE)
# Not `str.upper`, which makes a keyword of a name with a long s or a dotless i.
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_KINDS = {
    "blob": TokenKind.STRING,
    "escaped": TokenKind.STRING,
    "parameter": TokenKind.PARAMETER,
    "number": TokenKind.NUMBER,
}


@cache  # and not at import: it takes longer than all the rest
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


def tokenize(text: str, syntax: Syntax = SQLITE) -> list[Token]:
    """Split SQL text into tokens, space and comments left out.

    Never fails: text that the database would refuse gives tokens of some kind, so that the
    refusal stays the database's own.

    Args:
        text: The statement, in the driver's form (with its placeholders).
        syntax: The dialect's lexical rules.
    """
    tokens: list[Token] = []
    add = tokens.append
    match_at = _compiled(syntax.pattern).match
    position, length = 0, len(text)
    while position < length:
        match = match_at(text, position)
        assert match is not None  # the last alternative takes any character
        end = match.end()
        group = match.lastgroup
        if group == "space":
            pass
        elif group == "word":
            word = match.group()
            add(
                Token(
                    TokenKind.WORD,
                    word.translate(ASCII_UPPER),
                    syntax.fold(word, quoted=False),
                    position,
                    end,
                )
            )
        elif group == "operator":
            add(Token(TokenKind.OPERATOR, match.group(), "", position, end))
        elif group == "quoted":
            name = _unquote(match.group())
            if syntax.doubles_percent:
                name = name.replace("%%", "%")
            add(Token(TokenKind.QUOTED, name, syntax.fold(name, quoted=True), position, end))
        elif group == "string":
            string = _unquote(match.group())
            add(Token(TokenKind.STRING, string, syntax.fold(string, quoted=True), position, end))
        elif group == "comment":
            end = _end_of_comment(text, end, nested=syntax.nested_comments)
        elif group == "dollar":
            closed = text.find(match.group(), end)
            end = length if closed < 0 else closed + len(match.group())
            add(Token(TokenKind.STRING, "", "", position, end))
        elif group == "executed":
            add(Token(TokenKind.OPERATOR, "/*!", "", position, end))
        elif group == "unicode":
            escape = _UESCAPE.match(text, end)
            end = escape.end() if escape else end
            name = _decode_unicode_name(match.group()[2:], escape[1] if escape else "\\")
            add(Token(TokenKind.QUOTED, name, name, position, end))
        else:
            add(Token(_KINDS[group or ""], "", "", position, end))
        position = end
    return tokens


def _unquote(quoted: str) -> str:
    opener = quoted[0]
    closer = "]" if opener == "[" else opener
    inner = quoted[1:-1] if len(quoted) > 1 and quoted[-1] == closer else quoted[1:]
    return inner if closer == "]" else inner.replace(closer * 2, closer)


def _end_of_comment(text: str, position: int, *, nested: bool) -> int:
    if not nested:
        closed = text.find("*/", position)
        return len(text) if closed < 0 else closed + 2
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(text, position)
        if edge is None:
            return len(text)
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
    return position


def _decode_unicode_name(quoted: str, escape: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match.group(1) or match.group(2)
        return chr(int(code, 16)) if code and int(code, 16) <= 0x10FFFF else escape

    mark = re.escape(escape)
    pattern = rf"{mark}(?:([0-9A-Fa-f]{{4}})|\+([0-9A-Fa-f]{{6}})|{mark})"
    return re.sub(pattern, character, _unquote(quoted))
