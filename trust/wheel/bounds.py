"""What a wheel may be at most. Every bound is checked before the work that it bounds."""

MIB = 1 << 20

MAX_WHEEL_BYTES = 16 * MIB
"""Length of the wheel itself, in bytes."""

MAX_TOTAL_BYTES = 64 * MIB
"""Length of all members together, uncompressed, in bytes."""

MAX_MEMBER_BYTES = 16 * MIB
"""Length of one member, uncompressed, in bytes."""

MAX_MEMBERS = 2_500
"""Entries in the archive, folders included."""

MAX_RATIO = 200
"""Uncompressed bytes for each compressed byte; held against members above `RATIO_FREE_BYTES`."""

RATIO_FREE_BYTES = 64 << 10
"""Members up to this length, in bytes, may have any ratio."""

MAX_PATH_BYTES = 240
"""Length of a member's path in UTF-8."""

MAX_DEPTH = 12
"""Parts of a member's path."""

MAX_SOURCE_BYTES = 512 << 10
"""Length of one Python module; Python's parser needs up to 500 bytes of memory for each."""

MAX_TOTAL_SOURCE_BYTES = 4 * MIB
"""Length of all Python modules together; parsing the worst of them takes 1.5 s a MiB."""

MAX_STATEMENT_MARKS, MAX_TOTAL_STATEMENT_MARKS = 60_000, 250_000
"""Line ends and semicolons in one Python module, and in all of them."""

MAX_BRACES, MAX_TOTAL_BRACES = 10_000, 100_000
"""Opening braces in one Python module, and in all of them.

Within one f-string the parser's time grows with their square: 0.1 s for 10,000.
"""

MAX_FILENAME = 200
"""Length of the wheel's file name, in characters."""

MAX_METADATA_BYTES = 512 << 10
"""Length of METADATA; of WHEEL, RECORD and entry_points.txt too."""

MAX_METADATA_LINES = 2_000
"""Header lines of METADATA: the time to read them grows with their square."""

MAX_MANIFEST_BYTES = 256 << 10
"""Length of plugin.json."""

MAX_MANIFEST_DEPTH = 32
"""Nesting of plugin.json."""

MAX_LOCK_BYTES = 256 << 10
"""Length of pylock.toml."""

MAX_DEPENDENCIES = 64
"""Wheels that a lock file may name."""

MAX_CLOSURE_BYTES = 60 * MIB
"""Length of a plugin's wheel and of those of its dependencies together, in bytes."""

MAX_SCHEMA_NODES = 2_000
"""Subschemas of one method's schema, after every `$ref` is replaced by what it names."""

MAX_SCHEMA_DEPTH = 48
"""Nesting of those subschemas."""

MAX_PROBLEMS = 100
"""Problems that are reported; how many more there are is the last one."""
