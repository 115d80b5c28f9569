"""One set of statements, written for DuckDB, in the words of other engines.

sqlglot translates grammar and functions. What it leaves as it is although other engines would read it differently is
settled here, statement by statement alike: what a cast that may fail accepts, how rows are compared with the row
before, that the value of the least or greatest row is never null, how text is ordered, and that days are added to
dates. Values are written into the statement as literals of their type.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from sqlglot import ErrorLevel, exp, parse_one
from sqlglot.errors import UnsupportedError

from pipelines.errors import TrustError
from pipelines.warehouse.engines import Params
from pipelines.warehouse.engines.choice import DIALECTS

_LANDING = "landing"

_DATE_TEXT = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
_FOURTHS = "^([02468][048]|[13579][26])$"
_DECIMAL_TEXT = "^[-+]?[0-9]{1,16}([.][0-9]+)?$"
_DOUBLE_TEXT = "^[-+]?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?$"
_BOOLEAN_TEXT = "^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])$"


def placed(name: str) -> str:
    """What a table of the landing is called where there is no database of that name beside the scratch tables."""
    return name if name.startswith("landed_") else f"{_LANDING}_{name}"


def translate(query: str, dialect: str, params: Params | None = None, *, schema: str | None = None) -> str:
    """A statement's text in another engine's dialect.

    ``params``: values to write in; None leaves ``$name`` as that dialect's own named placeholder. ``schema``: put
    before the name of every table that is none of the statement's own steps. Errors: TrustError where the dialect
    cannot say what the statement says.
    """
    tree = _parsed(query).copy()
    if params is not None:
        tree = tree.transform(lambda node: _valued(node, params))
    _name_tables(tree, schema, keep_landing=dialect == "duckdb" and schema is None)
    if dialect != "duckdb":
        for rewrite in _REWRITES[dialect]:
            tree = _rewritten(tree, rewrite)
    try:
        return tree.sql(dialect, unsupported_level=ErrorLevel.RAISE, pretty=params is None, comments=False)
    except UnsupportedError as error:
        raise TrustError(
            f"A statement of the history cannot be said in {dialect}: {str(error).splitlines()[0]}",
            f"Choose another --dialect of {', '.join(DIALECTS)}.",
        ) from error


def _rewritten(tree: exp.Expr, rewrite: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Every node rewritten, the inner before the outer: what is inside a rewritten node is rewritten too."""
    for node in reversed(list(tree.walk())):
        new = rewrite(node)
        if new is not node:
            if node is tree:
                tree = new
            else:
                node.replace(new)
    return tree


@lru_cache(maxsize=256)
def _parsed(query: str) -> exp.Expr:
    return parse_one(query, read="duckdb")


def _valued(node: exp.Expr, params: Params) -> exp.Expr:
    return _literal(params[node.name]) if isinstance(node, exp.Placeholder) else node


def _literal(value: object) -> exp.Expr:
    if value is None:
        return exp.null()
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, int | float | Decimal):
        return exp.Literal.number(str(value))
    if isinstance(value, datetime):
        return exp.Literal.string(value.isoformat(sep=" "))
    if isinstance(value, date):
        return exp.Literal.string(value.isoformat())
    return exp.Literal.string(str(value))


def _name_tables(tree: exp.Expr, schema: str | None, *, keep_landing: bool) -> None:
    """Tables of the landing by their name here; every other table in its schema, where one is given.

    A step may have the name of the table it reads: within itself the name means the table, after it the step.
    """
    steps: list[str] = []
    with_ = tree.args.get("with_") or tree.args.get("with")
    parts: list[tuple[exp.Expr, bool]] = []
    recursive = bool(with_ is not None and with_.args.get("recursive"))
    if with_ is not None:
        parts = [(step, True) for step in with_.expressions]
    seen: set[int] = set()
    for part, is_step in [*parts, (tree, False)]:
        if is_step and recursive:
            steps.append(part.alias)
        for table in part.find_all(exp.Table):
            if id(table) in seen:
                continue
            seen.add(id(table))
            if table.db == _LANDING:
                if not keep_landing:
                    table.set("this", exp.to_identifier(placed(table.name)))
                    table.set("db", exp.to_identifier(schema) if schema else None)
            elif schema and table.name and table.name not in steps:
                table.set("db", exp.to_identifier(schema))
        if is_step and not recursive:
            steps.append(part.alias)


def _is_text(kind: exp.Expr | None) -> bool:
    return isinstance(kind, exp.DataType) and kind.is_type(*exp.DataType.TEXT_TYPES)


def _extremes(node: exp.Expr) -> exp.Expr:
    """Rows whose value is null do not count, as with DuckDB's arg_min; elsewhere their null would be the answer."""
    if not isinstance(node, exp.ArgMin | exp.ArgMax):
        return node
    known = exp.Not(this=exp.Is(this=node.this.copy(), expression=exp.null()))
    order = exp.Case(ifs=[exp.If(this=known, true=node.expression.copy())])
    return type(node)(this=node.this.copy(), expression=order)


def _extremes_of_arrays(node: exp.Expr) -> exp.Expr:
    """The first of the values in order, where there is no min_by."""
    if not isinstance(node, exp.ArgMin | exp.ArgMax):
        return node
    ordered = exp.Ordered(this=node.expression.copy(), desc=isinstance(node, exp.ArgMax), nulls_first=False)
    values = exp.ArrayAgg(this=exp.Order(this=node.this.copy(), expressions=[ordered]))
    known = exp.And(
        this=exp.Not(this=exp.Is(this=node.this.copy(), expression=exp.null())),
        expression=exp.Not(this=exp.Is(this=node.expression.copy(), expression=exp.null())),
    )
    kept = exp.Filter(this=values, expression=exp.Where(this=known))
    return exp.Bracket(this=exp.Paren(this=kept), expressions=[exp.Literal.number(1)], offset=1)


def _rows_compared(node: exp.Expr) -> exp.Expr:
    """``row(a, b) is not distinct from lag(row(a, b)) over w``, column by column; the first row equals none before."""
    if not (isinstance(node, exp.NullSafeEQ) and _is_row(node.this) and isinstance(node.expression, exp.Window)):
        return node
    window = node.expression
    columns = node.this.expressions

    def before(value: exp.Expr) -> exp.Expr:
        lagged = window.copy()
        lagged.set("this", exp.Lag(this=value.copy()))
        return lagged

    has_one = exp.EQ(this=exp.Coalesce(this=before(exp.Literal.number(1)), expressions=[exp.Literal.number(0)]),
                     expression=exp.Literal.number(1))  # fmt: skip
    same: exp.Expr = has_one
    for column in columns:
        same = exp.And(this=same, expression=exp.NullSafeEQ(this=column.copy(), expression=before(column)))
    return exp.Paren(this=same)


def _is_row(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower() == "row"


def _matches(value: exp.Expr, pattern: str) -> exp.Expr:
    return exp.RegexpLike(this=value.copy(), expression=exp.Literal.string(pattern))


def _canonical(node: exp.TryCast) -> exp.Expr | None:
    """What a text must look like to be read as that type; None for numbers, which need no reading."""
    kind = node.to
    if isinstance(node.this, exp.Round | exp.Sum | exp.Floor | exp.Mul | exp.Cast):
        return None
    if kind.is_type("date"):
        return _matches(node.this, _DATE_TEXT)
    if kind.is_type("double"):
        return _matches(node.this, _DOUBLE_TEXT)
    if kind.is_type("boolean"):
        return _matches(node.this, _BOOLEAN_TEXT)
    return _matches(node.this, _DECIMAL_TEXT)


def _tries_canonical(node: exp.Expr) -> exp.Expr:
    """A cast that may fail reads only canonical text: engines differ in what else they take for a date or a flag."""
    if not isinstance(node, exp.TryCast):
        return node
    seen = _canonical(node)
    if seen is None:
        return node
    return exp.Case(ifs=[exp.If(this=seen, true=node.copy())])


def _tries_guarded(node: exp.Expr) -> exp.Expr:
    """The same where no cast may fail: a condition that lets through only what can be cast."""
    if not isinstance(node, exp.TryCast):
        return node
    seen = _canonical(node)
    plain = exp.Cast(this=node.this.copy(), to=node.to.copy())
    if seen is None:
        limit = "9000000000000000000" if node.to.is_type("bigint") else "10000000000000000"
        seen = exp.LT(this=exp.Abs(this=node.this.copy()), expression=exp.Literal.number(limit))
    elif node.to.is_type("date"):
        seen = exp.and_(seen, _is_day(node.this))
    return exp.Case(ifs=[exp.If(this=seen, true=plain)])


def _is_day(value: exp.Expr) -> exp.Expr:
    """Whether the day of a text ``YYYY-MM-DD`` exists in its month, told from the text alone."""

    def part(start: int, length: int) -> exp.Expr:
        return exp.Substring(this=value.copy(), start=exp.Literal.number(start), length=exp.Literal.number(length))

    def among(texts: str, start: int, length: int) -> exp.Expr:
        return exp.In(this=part(start, length), expressions=[exp.Literal.string(text) for text in texts.split()])

    century = exp.EQ(this=part(3, 2), expression=_text("00"))
    leap = exp.or_(
        exp.and_(exp.not_(century), _matches(part(3, 2), _FOURTHS)), exp.and_(century, _matches(part(1, 2), _FOURTHS))
    )
    short = exp.and_(among("04 06 09 11", 6, 2), exp.EQ(this=part(9, 2), expression=_text("31")))
    too_late = exp.or_(among("30 31", 9, 2), exp.and_(exp.EQ(this=part(9, 2), expression=_text("29")), exp.not_(leap)))
    february = exp.and_(exp.EQ(this=part(6, 2), expression=_text("02")), too_late)
    return exp.not_(exp.or_(short, february, exp.EQ(this=part(1, 4), expression=_text("0000"))))


def _text(value: str) -> exp.Expr:
    return exp.Literal.string(value)


def _days_added(node: exp.Expr) -> exp.Expr:
    """``cast(x as date) + n`` where days and numbers have no sum."""
    if (
        not isinstance(node, exp.Add | exp.Sub)
        or not isinstance(node.this, exp.Cast)
        or not node.this.to.is_type("date")
    ):
        return node
    if isinstance(node.expression, exp.Interval):
        return node
    kind = exp.DateAdd if isinstance(node, exp.Add) else exp.DateSub
    return kind(this=node.this.copy(), expression=exp.Paren(this=node.expression.copy()), unit=exp.var("DAY"))


def _everywhere(node: exp.Expr) -> exp.Expr:
    """Replacing goes on through the text by itself, except where it has to be told to."""
    if isinstance(node, exp.RegexpReplace) and node.args.get("modifiers"):
        node.set("modifiers", None)
    return node


def _windows_spelt(node: exp.Expr) -> exp.Expr:
    """Named windows written out where they are used."""
    if not isinstance(node, exp.Select) or not node.args.get("windows"):
        return node
    named = {window.this.name: window for window in node.args["windows"]}
    node.set("windows", None)
    for window in list(node.find_all(exp.Window)):
        spec = named.get(window.args["alias"].name) if window.args.get("alias") else None
        if spec is not None:
            window.set("alias", None)
            for part in ("partition_by", "order", "spec"):
                value = spec.args.get(part)
                window.set(part, [item.copy() for item in value] if isinstance(value, list) else value and value.copy())
    return node


def _series_of_rows(node: exp.Expr) -> exp.Expr:
    """A series is rows already, and needs no unnesting."""
    return node.this.copy() if isinstance(node, exp.Explode) and isinstance(node.this, exp.GenerateSeries) else node


def _running_sums(node: exp.Expr) -> exp.Expr:
    """No order of nulls in the window of a sum or count, where there cannot be one: what it runs over is never null."""
    if isinstance(node, exp.Window) and isinstance(node.this, exp.AggFunc) and node.args.get("order"):
        for ordered in node.args["order"].expressions:
            ordered.set("nulls_first", not ordered.args.get("desc"))
    return node


_SAYS_TEXT = (exp.DPipe, exp.If, exp.Case, exp.Coalesce, exp.Alias, exp.Select, exp.Paren)


def _ordered_by_bytes(node: exp.Expr) -> exp.Expr:
    """Text compares byte by byte whatever the database's collation: said wherever a text begins."""
    if isinstance(node, exp.Cast) and _is_text(node.to) and not isinstance(node.parent, exp.Collate):
        return exp.Collate(this=node.copy(), expression=exp.to_identifier("C", quoted=True))
    if isinstance(node, exp.Literal) and node.is_string and isinstance(node.parent, _SAYS_TEXT):
        if isinstance(node.parent, exp.If) and node.arg_key != "true":
            return node
        return exp.Collate(this=node.copy(), expression=exp.to_identifier("C", quoted=True))
    return node


Rewrite = Callable[[exp.Expr], exp.Expr]

_REWRITES: dict[str, tuple[Rewrite, ...]] = {
    "postgres": (_extremes_of_arrays, _rows_compared, _tries_guarded, _series_of_rows, _ordered_by_bytes),
    "spark": (_extremes, _rows_compared, _tries_canonical, _everywhere),
    "databricks": (_extremes, _rows_compared, _tries_canonical, _everywhere),
    "snowflake": (_extremes, _rows_compared, _tries_canonical, _everywhere, _windows_spelt, _days_added),
    "bigquery": (_extremes, _rows_compared, _tries_canonical, _everywhere, _days_added, _running_sums),
    "trino": (_extremes, _rows_compared, _tries_canonical, _everywhere, _days_added),
}
