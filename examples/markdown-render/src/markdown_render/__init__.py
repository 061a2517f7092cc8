"""Render Markdown to HTML, with CommonMark rules or with tables and strikethrough.

Raw HTML in the text is escaped, never passed through, and links to `javascript:`, `vbscript:`,
`file:` and `data:` addresses are not made, so that the result may be shown in a page.
"""

from markdown_render._vendor.markdown_it import MarkdownIt
from markdown_render._vendor.markdown_it.tree import SyntaxTreeNode

_EXTENSIONS = {"tables": "table", "strikethrough": "strikethrough"}


def _parser(arguments):
    parser = MarkdownIt("commonmark", {"html": False, "breaks": arguments.get("breaks", False)})
    parser.enable([_EXTENSIONS[name] for name in arguments.get("extensions", [])])
    return parser


def render(arguments):
    """Return `text` as HTML, with the number of its block elements."""
    parser = _parser(arguments)
    tokens = parser.parse(arguments["text"])
    html = parser.renderer.render(tokens, parser.options, {})
    return {
        "html": html,
        "blocks": sum(token.level == 0 and token.nesting >= 0 for token in tokens),
    }


def outline(arguments):
    """Return the headings of `text` in their order: level, plain text, line."""
    tree = SyntaxTreeNode(_parser(arguments).parse(arguments["text"]))
    return {
        "headings": [
            {
                "level": int(node.tag[1:]),
                "text": "".join(
                    child.content for child in node.walk() if child.type in ("text", "code_inline")
                ),
                "line": node.map[0] + 1 if node.map else 0,
            }
            for node in tree.walk()
            if node.type == "heading"
        ]
    }
