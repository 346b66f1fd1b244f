"""Tables of figures, for a reader at once and for a document."""


def plain(heading, rows):
    widths = [max(map(len, column)) for column in zip(heading, *rows)]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() + "\n"
                   for line in (heading, *rows))


def markdown(heading, rows):
    return "\n".join(f"| {' | '.join(map(str, line))} |"
                     for line in (heading, ["---"] * len(heading), *rows))


def write(path, tables):
    """`tables`: (heading, rows) each."""
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n\n".join(markdown(*table) for table in tables) + "\n")
