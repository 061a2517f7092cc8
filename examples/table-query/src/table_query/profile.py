"""What the columns of a table hold."""

from table_query.table import rank, read

_KINDS = ("null", "boolean", "number", "text", "other")


class Profile:
    """A description of a table; a method of a class, as a manifest may name one."""

    def columns(self, arguments):
        """Return, for each column, kinds of values, nulls, distinct values, least and greatest."""
        columns, rows = read(arguments["table"])
        return {
            "rows": len(rows),
            "columns": [self._column(name, [row[name] for row in rows]) for name in columns],
        }

    def _column(self, name, cells):
        ranks = [rank(cell) for cell in cells]
        filled = [cell for cell in cells if cell is not None]
        return {
            "name": name,
            "kinds": sorted({_KINDS[kind] for kind, _ in ranks}),
            "nulls": len(cells) - len(filled),
            "distinct": len(set(ranks)),
            "least": min(filled, key=rank) if filled else None,
            "greatest": max(filled, key=rank) if filled else None,
        }
