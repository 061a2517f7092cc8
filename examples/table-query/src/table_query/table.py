"""Reading a table into columns and rows of JSON values."""

import csv
import io

MAX_CELLS = 1_000_000


class TableError(ValueError):
    """The table, or what is asked of it, does not make sense; the message says what."""


def read(source):
    """Return columns and rows of `{"csv": text}` or `{"rows": [objects]}`.

    CSV cells that look like numbers become numbers; empty cells become null.
    """
    if "csv" in source:
        reader = csv.reader(io.StringIO(source["csv"], newline=""), strict=True)
        try:
            lines = [line for line in reader if line]
        except csv.Error as error:
            raise TableError(f"line {reader.line_num} of the CSV: {error}") from None
        if not lines:
            raise TableError("the CSV has no header line")
        columns, body = lines[0], lines[1:]
        for number, line in enumerate(body, 2):
            if len(line) != len(columns):
                raise TableError(f"line {number}: {len(line)} cells, the header has {len(columns)}")
        rows = [dict(zip(columns, map(value, line), strict=True)) for line in body]
    else:
        rows = source["rows"]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        rows = [{name: row.get(name) for name in columns} for row in rows]
    if len(set(columns)) != len(columns):
        raise TableError(f"a column stands twice: {', '.join(columns)}")
    if len(columns) * len(rows) > MAX_CELLS:
        raise TableError(f"{len(columns) * len(rows)} cells; at most {MAX_CELLS}")
    return columns, rows


def value(text):
    """Return a CSV cell as null, a number, or the text that it is."""
    if text == "":
        return None
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if number in (float("inf"), float("-inf")) or number != number or "_" in text:
            return text
        return number
    return text


def rank(cell):
    """Return a sort key that orders any two cells: null, booleans, numbers, texts, the rest."""
    if cell is None:
        return (0, 0)
    if isinstance(cell, bool):
        return (1, cell)
    if isinstance(cell, (int, float)):
        return (2, cell)
    if isinstance(cell, str):
        return (3, cell)
    return (4, repr(cell))
