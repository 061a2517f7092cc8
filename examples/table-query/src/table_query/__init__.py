"""Filter, group and summarise tables given as CSV text or as JSON objects.

`query` works like a small SELECT: `where` keeps rows, `group_by` and `aggregate` fold them,
`select`, `order_by` and `limit` shape what is left. `profile` says what the columns hold.
"""

from table_query.profile import Profile
from table_query.query import query

__all__ = ["Profile", "query"]
