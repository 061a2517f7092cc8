"""One query over one table."""

from table_query.table import TableError, rank, read

_COMPARE = {
    "=": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def query(arguments):
    """Return columns, rows and their number, as the arguments ask."""
    columns, rows = read(arguments["table"])
    for condition in arguments.get("where", []):
        _known(condition["column"], columns)
        rows = [row for row in rows if _holds(row[condition["column"]], condition)]
    if "group_by" in arguments or "aggregate" in arguments:
        columns, rows = _fold(
            rows, columns, arguments.get("group_by", []), arguments.get("aggregate", [])
        )
    for order in reversed(arguments.get("order_by", [])):
        name = _known(order["column"], columns)
        rows = sorted(rows, key=lambda row: rank(row[name]), reverse=order.get("descending", False))
    if "select" in arguments:
        columns = [_known(name, columns) for name in arguments["select"]]
    matched = len(rows)
    rows = rows[: arguments.get("limit", matched)]
    return {
        "columns": columns,
        "rows": [[row[name] for name in columns] for row in rows],
        "matched": matched,
    }


def _known(name, columns):
    if name not in columns:
        raise TableError(f"there is no column {name!r}; there are {', '.join(columns)}")
    return name


def _holds(cell, condition):
    wanted, operator = condition.get("value"), condition["operator"]
    if operator == "contains":
        return isinstance(cell, str) and isinstance(wanted, str) and wanted in cell
    if operator == "in":
        return isinstance(wanted, list) and any(rank(cell) == rank(item) for item in wanted)
    left, right = rank(cell), rank(wanted)
    if operator not in ("=", "!=") and left[0] != right[0]:
        return False  # no order between a number and a text, or with null
    return _COMPARE[operator]((left > right) - (left < right))


def _fold(rows, columns, group_by, aggregate):
    for name in group_by:
        _known(name, columns)
    groups = {}
    for row in rows:
        groups.setdefault(tuple(rank(row[name]) for name in group_by), []).append(row)
    if not group_by and not groups:
        groups[()] = []
    results = [*group_by]
    for each in aggregate:
        name = each.get("as") or f"{each['function']}_{each.get('column', 'rows')}"
        if name in results:
            raise TableError(f"two columns of the result have the name {name!r}")
        results.append(name)
    folded = []
    for members in groups.values():
        cells = [members[0][name] for name in group_by]
        cells += [_aggregate(each, members, columns) for each in aggregate]
        folded.append(dict(zip(results, cells, strict=True)))
    return results, folded


def _aggregate(each, members, columns):
    function = each["function"]
    if function == "count" and "column" not in each:
        return len(members)
    if "column" not in each:
        raise TableError(f"{function} needs a column")
    name = _known(each["column"], columns)
    cells = [row[name] for row in members if row[name] is not None]
    if function == "count":
        return len(cells)
    if function in ("min", "max"):
        pick = min if function == "min" else max
        return pick(cells, key=rank) if cells else None
    numbers = [c for c in cells if isinstance(c, (int, float)) and not isinstance(c, bool)]
    if len(numbers) != len(cells):
        raise TableError(f"{function} of {name!r}: the column has cells that are not numbers")
    total = sum(numbers)
    if function == "sum":
        return total
    return total / len(numbers) if numbers else None
