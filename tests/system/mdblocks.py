"""mdblocks - what stands in code blocks of our Markdown pages, so that tests can do what the pages say.

A comment before a block says what is to become of it, invisible to readers:

    <!-- test: on=edge; exit=1; shows=refused -->

Keys are the tests' own; what is before a block belongs to it, several comments add up. A comment
without a block is a block of its own, without text.
"""

import re

FENCE = re.compile(r"^(\s*)(```+)\s*(\S*)\s*$")
COMMENT = re.compile(r"^\s*<!--\s*test:\s*(.*?)\s*-->\s*$")


class Block:
    def __init__(self, page, line, keys):
        self.page, self.line, self.keys = page, line, keys
        self.language, self.text = None, ""

    def all(self, key):
        return [v for k, v in self.keys if k == key]

    def get(self, key, otherwise=None):
        found = self.all(key)
        return found[0] if found else otherwise

    @property
    def place(self):
        return "%s:%d" % (self.page, self.line)

    @property
    def first(self):
        """For messages: its first line."""
        lines = [line for line in self.text.split("\n") if line.strip()]
        return lines[0].strip() if lines else ""


def keys_of(text):
    out = []
    for part in text.split(";"):
        if part.strip():
            key, _, value = part.strip().partition("=")
            out.append((key.strip(), value.strip()))
    return out


def blocks(path, name=None):
    """Every block of a page, in order."""
    out, pending, block, fence = [], [], None, None
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    for number, line in enumerate(lines, 1):
        if block is not None:
            if line.strip() == fence:
                out.append(block)
                block = None
            else:
                block.text += line[indent:] + "\n"
            continue
        comment, begin = COMMENT.match(line), FENCE.match(line)
        if begin:
            indent, fence = len(begin.group(1)), begin.group(2)
            block = Block(name or path, number, pending)
            block.language = begin.group(3)
            pending = []
        elif comment:
            pending = pending + keys_of(comment.group(1))
            at = number
        elif line.strip() and pending:
            # prose: the comment is for itself
            out.append(Block(name or path, at, pending))
            pending = []
    if pending:
        out.append(Block(name or path, at, pending))
    if block is not None:
        raise ValueError("%s: a block that does not end" % path)
    return out
