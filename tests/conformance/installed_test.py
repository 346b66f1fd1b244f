"""The installed library: a server that knows nothing of our source tree builds and answers.

Builds the library alone and installs it, checks that each public header compiles by itself, builds
installed/hello.c once with pkg-config and once with CMake's find_package, talks to it on stdio in
both lifecycles, and checks that the manual shows the same source. All with sanitizers.
"""

import json
import os
import pathlib
import shlex
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
HELLO = HERE / "installed/hello.c"
MANUAL = ROOT / "docs/mcp-library.md"
SANITIZE = ["-fsanitize=address,undefined"]
# libuv's headers need POSIX.
STRICT = ["-std=gnu11", "-Wall", "-Wextra", "-Werror"]

CALL = {"name": "hello", "arguments": {"name": "World"}}
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}}
TALK = [
    {"id": 1, "method": "server/discover", "params": {"_meta": META}},
    {"id": 2, "method": "tools/call", "params": {**CALL, "_meta": META}},
    {"id": 3, "method": "initialize",
     "params": {"protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"}}},
    {"method": "notifications/initialized"},
    {"id": 4, "method": "tools/call", "params": CALL},
]


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def install(out, prefix):
    build = str(out / "library")
    run("cmake", "-S", str(ROOT), "-B", build, "-G", "Ninja", "-DTODO_LIBRARY_ONLY=ON",
        "-DTODO_SANITIZE=ON", "-DTODO_TESTS=OFF", "-DCMAKE_BUILD_TYPE=Debug")
    run("cmake", "--build", build, "-j", "2")
    run("cmake", "--install", build, "--component", "mcp-server", "--prefix", str(prefix))


def pkg_config(prefix, *what):
    pc = next(prefix.glob("lib/**/mcp-server.pc"))
    env = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent)}
    return shlex.split(run("pkg-config", *what, "mcp-server", env=env))


def compile_headers(prefix):
    root = prefix / "include/mcp-server"
    for header in sorted(root.glob("*/*.h")):
        name = header.relative_to(root).as_posix()
        run("cc", *STRICT, *pkg_config(prefix, "--cflags"), *SANITIZE, "-fsyntax-only", "-x", "c", "-",
            input=f'#include "{name}"\nint unused;\n')


def build_with_pkg_config(prefix, out):
    program = out / "hello"
    run("cc", *STRICT, *pkg_config(prefix, "--cflags"), *SANITIZE, str(HELLO), "-o", str(program),
        *pkg_config(prefix, "--libs"))
    return program


def build_with_cmake(prefix, out):
    run("cmake", "-G", "Ninja", "-S", str(HELLO.parent), "-B", str(out / "build"),
        f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_FLAGS={' '.join(SANITIZE)}")
    run("cmake", "--build", str(out / "build"))
    return out / "build/hello"


def check_talk(program):
    lines = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in TALK)
    done = subprocess.run([str(program), "--stdio"], input=lines, check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    assert done.returncode == 0 and "Sanitizer" not in done.stderr, done.stderr
    answers = {answer["id"]: answer["result"] for answer in map(json.loads, done.stdout.splitlines())}
    assert "2026-07-28" in answers[1]["supportedVersions"], answers[1]
    assert answers[3]["protocolVersion"] == "2025-11-25", answers[3]
    for call in (2, 4):
        assert answers[call]["content"] == [{"type": "text", "text": "Hello, World!"}], answers[call]


def main():
    with tempfile.TemporaryDirectory(prefix="mcp-server-") as temporary:
        out = pathlib.Path(temporary)
        prefix = out / "prefix"
        install(out, prefix)
        compile_headers(prefix)
        check_talk(build_with_pkg_config(prefix, out))
        check_talk(build_with_cmake(prefix, out))
    assert HELLO.read_text("utf-8") in MANUAL.read_text("utf-8"), f"{MANUAL} shows another server"


if __name__ == "__main__":
    main()
