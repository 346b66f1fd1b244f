"""Our C sources as text for banned.sh.

code.py code FILE…       FILE:LINE:TEXT with comments and the inside of strings blanked
code.py comments FILE…   FILE:LINE:TEXT with nothing but comments
code.py variables FILE…  FILE:NAME:LINE for each variable of static storage that can change
"""
import re
import sys

TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""",
    re.S,
)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def code_of(text):
    def replace(match):
        if match["comment"]:
            return blank(match["comment"])
        return match["string"][0] + blank(match["string"][1:-1]) + match["string"][-1]

    return TOKEN.sub(replace, text)


def comments_of(text):
    out, at = [], 0
    for match in TOKEN.finditer(text):
        out.append(blank(text[at : match.start()]))
        out.append(match[0] if match["comment"] else blank(match[0]))
        at = match.end()
    return "".join(out) + blank(text[at:])


def without_preprocessor(code):
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: blank(m[0]), code, flags=re.M)


def statements(code):
    """(line, depth, text) of each declaration or statement; braces in it stand as {}."""
    depth, start, text = 0, 0, []
    stack = []
    for at, char in enumerate(code):
        if char == "{":
            # An initializer or a struct's members belong to the statement; a body ends it.
            is_part = bool(re.search(r"(=|\)|\]|,|\{|\breturn)\s*$", "".join(text))) and not re.search(
                r"\)\s*$", "".join(text)
            )
            is_type = bool(re.search(r"\b(struct|union|enum)\b[^()=;]*$", "".join(text)))
            stack.append((is_part or is_type, start, text))
            depth += 1
            start, text = at + 1, []
        elif char == "}" and stack:
            joins, outer_start, outer_text = stack.pop()
            depth -= 1
            if joins:
                start, text = outer_start, outer_text + ["{}"]
            else:
                start, text = at + 1, []
        elif char == ";":
            yield code.count("\n", 0, start + leading(text)) + 1, depth, " ".join("".join(text).split())
            start, text = at + 1, []
        else:
            text.append(char)


def leading(text):
    joined = "".join(text)
    return len(joined) - len(joined.lstrip())


def changeable_name(statement):
    """The name of the variable that the statement defines, where it may change; else None."""
    head = re.split(r"=", statement, maxsplit=1)[0].strip()
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)|_Alignas\s*\([^)]*\)", "", head).strip()
    if re.match(r"(typedef|extern|return|goto|case|_Static_assert|static_assert)\b", head):
        return None
    pointer = re.match(r"[^()]*\(\s*\*([^()]*)\)\s*\(", head)  # a pointer to a function
    if pointer:
        return None if re.search(r"\bconst\b", pointer[1]) else pointer[1].strip().split("[")[0]
    if "(" in head:
        return None
    head = re.sub(r"\[.*", "", head)
    match = re.match(r"(.*?[\s*}])(\w+)$", head)
    if not match or re.fullmatch(r"\s*(struct|union|enum)\s+", match[1]):
        return None
    last = match[1].rsplit("*", 1)[-1]
    return None if re.search(r"\bconst\b", last) else match[2]


def changeable_variables(text):
    for line, depth, statement in statements(without_preprocessor(code_of(text))):
        if depth > 0 and not re.match(r"(static|_Thread_local)\b", statement):
            continue
        name = changeable_name(statement)
        if name:
            yield name, line


def main(mode, paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if mode == "variables":
            for name, line in changeable_variables(text):
                print(f"{path}:{name}:{line}")
            continue
        kept = {"code": code_of, "comments": comments_of}[mode](text)
        for number, line in enumerate(kept.split("\n"), 1):
            if line.strip():
                print(f"{path}:{number}:{line.rstrip()}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
