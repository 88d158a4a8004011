"""The choice of rows of a release, `RELATION WHERE CONDITION`: parsed into a tree, which alone runs and is recorded.

The grammar is small on purpose, and what it does not have is refused. Keywords and names may be in any case.

    selection   = RELATION "WHERE" condition
    condition   = conjunction {"OR" conjunction}
    conjunction = negation {"AND" negation}
    negation    = "NOT" negation | "(" condition ")" | predicate
    predicate   = COLUMN ("=" | "<>" | "!=" | "<" | "<=" | ">" | ">=") value
                | COLUMN ["NOT"] "IN" "(" value {"," value} ")"
                | COLUMN ["NOT"] "BETWEEN" value "AND" value
                | COLUMN ["NOT"] "LIKE" TEXT ["ESCAPE" TEXT]
                | COLUMN "IS" ["NOT"] "NULL"
    value       = TEXT | NUMBER | "TRUE" | "FALSE" | ("DATE" | "TIMESTAMP") TEXT

Each value has to be of the type of its column, so that no condition can fail on a row's value.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from avowal import strict
from avowal.errors import QueryError
from avowal.store.columns import RELATIONS, ValueType, find_value_type
from avowal.store.sql_builder import SqlFragment, bare_identifier, compose
from avowal.use.row_condition import (
    Absence,
    ColumnComparison,
    Condition,
    Conjunction,
    Disjunction,
    Membership,
    Negation,
    Operator,
    Pattern,
    Range,
    Value,
    render_condition,
    render_without,
    walk_condition,
)

SELECTION_CHARACTERS_MAX = 10_000
"""The longest choice of rows, in characters, as it is given and as it is rendered."""

CONDITION_DEPTH_MAX = 20
"""The deepest tree of a condition, in nodes."""

NESTING_MAX = 100
"""The most parentheses and NOTs within each other: more than the rendered text of a permitted tree has."""

NUMBER_CHARACTERS_MAX = 15
"""The longest number, in characters: a double holds its digits exactly."""

EXAMPLE_HINT = "write it as in `requests WHERE status = 404 AND page_path LIKE '/login%'`"
VALUE_HINTS = {
    ValueType.TEXT: "write a text in single quotes: `'/login'`",
    ValueType.WORD: "write a word in single quotes: `'view'`",
    ValueType.INTEGER: "write a whole number without quotes: `404`",
    ValueType.DECIMAL: "write a number without quotes: `0.25`",
    ValueType.BOOLEAN: "write `TRUE` or `FALSE`",
    ValueType.TIME: "write a time in UTC: `'2026-11-22'` or `'2026-11-22 14:30:00'`",
}

OPERATORS: dict[str, Operator] = {
    "=": "=",
    "<>": "<>",
    "!=": "<>",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII)

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?![A-Za-z0-9_.]))
      | (?P<text>'(?:[^'\0]|'')*')
      | (?P<sign><>|!=|<=|>=|[=<>(),])
    )""",
    re.VERBOSE,
)


class RowSelection(NamedTuple):
    """Rows of a relation, selected by a condition on its columns."""

    relation: str
    condition: Condition

    @property
    def sql(self) -> SqlFragment:
        """The condition as SQL."""
        return render_condition(self.condition)

    @property
    def timeless_sql(self) -> SqlFragment:
        """The condition without what it says of when a record was collected, as SQL."""
        columns = RELATIONS[self.relation].columns
        times = {column for column in columns if find_value_type(column) is ValueType.TIME}
        return render_without(self.condition, {*times, "version"})

    def __str__(self) -> str:
        """Return the selection as text, which parses to the same selection."""
        relation = bare_identifier(self.relation)
        return compose("{relation} WHERE {condition}", relation=relation, condition=self.sql).text


def parse_row_selection(text: str) -> RowSelection:
    """Parse a choice of rows. Raises QueryError if it is none that the grammar has."""
    if len(text) > SELECTION_CHARACTERS_MAX:
        raise _too_long(f"more than {SELECTION_CHARACTERS_MAX:,} characters")
    selection = _Parser(_tokenize(text)).parse_selection()
    if any(depth > CONDITION_DEPTH_MAX for _, depth in walk_condition(selection.condition)):
        raise _too_long(f"more than {CONDITION_DEPTH_MAX} conditions within each other")
    if len(str(selection)) > SELECTION_CHARACTERS_MAX:
        raise _too_long(f"more than {SELECTION_CHARACTERS_MAX:,} characters")
    return selection


def check_columns(selection: RowSelection, refused_columns: Mapping[str, str]) -> None:
    """Raise QueryError if a selection uses a refused column; `refused_columns` has the reason for each."""
    for predicate, _ in walk_condition(selection.condition):
        if reason := refused_columns.get(predicate.column):
            raise _refusal(f"`{predicate.column}` {reason}", "choose the rows by other columns")


def _refusal(message: str, hint: str = EXAMPLE_HINT) -> QueryError:
    return QueryError(message, hint)


def _too_long(excess: str) -> QueryError:
    return QueryError(f"the choice of rows has {excess}", "simplify it", code="query-too-long")


class _Token(NamedTuple):
    kind: str
    """`word`, `number`, `text`, `sign`, or `end` of the last token."""
    text: str
    """The token as it is written; a word in lower case."""
    start: int

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        return f"at character {self.start + 1}"


END = "the end"


def _tokenize(text: str) -> list[_Token]:
    """Return the tokens of a text, and one for its end. Raises QueryError at anything else, such as a comment."""
    text = text.rstrip(" \t\r\n")
    tokens, position = list[_Token](), 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            rest = text[position:].lstrip(" \t\r\n")
            piece = "".join(character if character.isprintable() else "?" for character in rest[:20])
            raise _refusal(
                f"`{piece.partition(' ')[0]}` is not allowed at character {len(text) - len(rest) + 1}"
            )
        kind, written = match.lastgroup, match[match.lastgroup]
        tokens.append(_Token(kind, written.lower() if kind == "word" else written, match.start(kind)))
        position = match.end()
    return [*tokens, _Token("end", END, len(text))]


@dataclass
class _Parser:
    """Parses tokens by recursive descent: a method for each rule of the grammar."""

    tokens: list[_Token]
    position: int = 0
    nesting: int = 0
    relation: str = ""

    def parse_selection(self) -> RowSelection:
        """Parse all tokens. Raises QueryError at the first that the grammar does not have."""
        token = self._next()
        if token.kind != "word" or token.text not in RELATIONS:
            raise _refusal(
                f"rows are chosen from one relation, and `{token.text}` is none ({token.place})",
                f"there are: {', '.join(RELATIONS)}",
            )
        self.relation = token.text
        self._expect("where")
        condition = self._parse_condition()
        self._expect(END)
        return RowSelection(self.relation, condition)

    def _parse_condition(self) -> Condition:
        conditions = self._parse_list("or", self._parse_conjunction)
        return conditions[0] if len(conditions) == 1 else Disjunction(conditions)

    def _parse_conjunction(self) -> Condition:
        conditions = self._parse_list("and", self._parse_negation)
        return conditions[0] if len(conditions) == 1 else Conjunction(conditions)

    def _parse_list(self, separator: str, parse_rule: Callable[[], Condition]) -> tuple[Condition, ...]:
        conditions = [parse_rule()]
        while self._accept(separator):
            conditions.append(parse_rule())
        return tuple(conditions)

    def _parse_negation(self) -> Condition:
        self.nesting += 1
        if self.nesting > NESTING_MAX:
            raise _too_long(f"more than {NESTING_MAX} parentheses within each other")
        if self._accept("not"):
            condition: Condition = Negation(self._parse_negation())
        elif self._accept("("):
            condition = self._parse_condition()
            self._expect(")")
        else:
            condition = self._parse_predicate()
        self.nesting -= 1
        return condition

    def _parse_predicate(self) -> Condition:
        column = self._parse_column()
        if self._accept("is"):
            is_negated = self._accept("not")
            self._expect("null")
            return Negation(Absence(column)) if is_negated else Absence(column)
        token = self._next()
        if token.text in OPERATORS:
            return self._parse_comparison(column, token)
        is_negated = token.text == "not"
        if is_negated:
            token = self._next()
        predicate: Condition
        match token.text:
            case "in":
                predicate = self._parse_membership(column)
            case "between":
                predicate = self._parse_range(column, token)
            case "like":
                predicate = self._parse_pattern(column, token)
            case _:
                raise _refusal(f"`{token.text}` is not allowed after `{column}` ({token.place})")
        return Negation(predicate) if is_negated else predicate

    def _parse_column(self) -> str:
        token, columns = self._next(), [*RELATIONS[self.relation].columns, "version"]
        if token.kind != "word" or self.tokens[self.position].text == "(":
            raise _refusal(f"a condition begins with a column, and `{token.text}` is none ({token.place})")
        if token.text not in columns:
            raise _refusal(
                f"`{self.relation}` has no column `{token.text}` ({token.place})",
                strict.suggest_nearest(token.text, columns, "columns"),
            )
        return token.text

    def _parse_comparison(self, column: str, token: _Token) -> ColumnComparison:
        operator = OPERATORS[token.text]
        if operator not in {"=", "<>"}:
            _check_order(column, token)
        return ColumnComparison(column, operator, self._parse_value(column))

    def _parse_membership(self, column: str) -> Membership:
        self._expect("(")
        values = [self._parse_value(column)]
        while self._accept(","):
            values.append(self._parse_value(column))
        self._expect(")")
        return Membership(column, tuple(values))

    def _parse_range(self, column: str, token: _Token) -> Range:
        _check_order(column, token)
        least = self._parse_value(column)
        self._expect("and")
        return Range(column, least, self._parse_value(column))

    def _parse_pattern(self, column: str, token: _Token) -> Pattern:
        if find_value_type(column) not in {ValueType.TEXT, ValueType.WORD}:
            raise _refusal(f"`{column}` is not text, so it has no pattern ({token.place})")
        pattern_token = self._next()
        pattern = _parse_text(pattern_token)
        if not self._accept("escape"):
            return Pattern(column, pattern)
        token = self._next()
        escape = _parse_text(token)
        if len(escape) != 1 or not escape.isascii():
            raise _refusal(f"{token.text} is not one ASCII character ({token.place})", "write `ESCAPE '!'`")
        quoted = re.escape(escape)
        if not re.fullmatch(rf"(?:[^{quoted}]|{quoted}[%_{quoted}])*", pattern, re.DOTALL):
            raise _refusal(
                f"in {pattern_token.text} an escape character is not before `%`, `_` or itself "
                f"({pattern_token.place})",
                "write it twice where it stands for itself",
            )
        return Pattern(column, pattern, escape)

    def _parse_value(self, column: str) -> Value:
        value_type = find_value_type(column)
        if value_type is ValueType.TIME and self.tokens[self.position].text in {"date", "timestamp"}:
            self._next()
        token = self._next()
        value: Value | None = None
        match value_type, token.kind:
            case ((ValueType.TEXT | ValueType.WORD), "text"):
                value = _parse_text(token)
            case ValueType.TIME, "text":
                value = _parse_time(_parse_text(token))
            case ValueType.BOOLEAN, "word":
                value = {"true": True, "false": False}.get(token.text)
            case ValueType.INTEGER, "number" if "." not in token.text:
                value = int(token.text)
            case ValueType.DECIMAL, "number":
                value = Decimal(token.text)
        if value is None:
            raise _refusal(
                f"`{token.text}` is not a value of the column `{column}` ({token.place})",
                VALUE_HINTS[value_type],
            )
        if len(token.text) > NUMBER_CHARACTERS_MAX and token.kind == "number":
            raise _refusal(f"`{token.text}` has too many digits ({token.place})", "write a shorter number")
        return value

    def _next(self) -> _Token:
        token = self.tokens[self.position]
        self.position = min(self.position + 1, len(self.tokens) - 1)
        return token

    def _accept(self, text: str) -> bool:
        """Return whether the next token is a word or sign, and pass it if so."""
        is_next = self.tokens[self.position].text == text
        if is_next:
            self._next()
        return is_next

    def _expect(self, text: str) -> None:
        token = self._next()
        if token.text != text:
            expected = text if text == END else f"`{text.upper()}`"
            raise _refusal(f"`{token.text}` is not allowed {token.place}: {expected} has to stand there")


def _check_order(column: str, token: _Token) -> None:
    """Raise QueryError if the values of a column have no order."""
    if find_value_type(column) in {ValueType.WORD, ValueType.BOOLEAN}:
        raise _refusal(
            f"the values of `{column}` have no order, so `{token.text}` is not allowed ({token.place})",
            "use `=`, `<>` or `IN`",
        )


def _parse_text(token: _Token) -> str:
    if token.kind != "text":
        raise _refusal(f"`{token.text}` is not a text ({token.place})", VALUE_HINTS[ValueType.TEXT])
    return token.text[1:-1].replace("''", "'")


def _parse_time(text: str) -> datetime | None:
    """Return the time that a text says, which is UTC; None if it says none."""
    try:
        return datetime.fromisoformat(text) if TIME.fullmatch(text) else None
    except ValueError:
        return None
