"""The peers of the benchmark: one small server on each official SDK, in peers/, written as its
documentation shows it and pinned like the tests' clients.

A peer answers add_task, get_task, list_tasks and search_tasks at http://127.0.0.1:PORT/mcp, without
sessions and in JSON. It runs the statements of todo-mcp that SQL_<OPERATION> hold, prepared, through a
pool of 16 connections that PGHOST, PGUSER, PGDATABASE and PGOPTIONS describe, for the user that
SQL_USER finds, and answers the members of a task that its row has."""

import os
import shutil
import subprocess
import sys

from stack import Process

HERE = os.path.dirname(os.path.abspath(__file__))
LIB = os.path.join(HERE, "..", "lib")
# Folder under peers/, as it is called, and what makes it ready to run.
PEERS = {"go": ("Go SDK", "built"), "rust": ("Rust SDK", "built"),
         "typescript": ("TypeScript SDK", "pinned"), "python": ("Python SDK", "pinned")}
# Which of each statement's parameters a peer gives; the rest are constants to it.
PARAMS = {"add_task": 8, "get_task": 2, "list_tasks": 2, "search_tasks": 3}


class Peer(Process):
    """The process that is measured is the program itself: nothing stands before it."""

    port_names = ("http",)

    def __init__(self, folder, made, world):
        self.name = f"peer-{folder}"
        super().__init__()
        self.source, self.made = f"{HERE}/peers/{folder}", made
        self.env = {"PORT": str(self.port), "NODE_ENV": "production", "PGHOST": world.postgres.dir,
                    "PGUSER": "postgres", "PGDATABASE": "postgres",
                    # The application's name shows that a driver takes these settings at all.
                    "PGOPTIONS": f"{world.session_options} -c application_name={self.name}",
                    "SQL_USER": f"select {world.user_id}::bigint"}
        for operation, count in PARAMS.items():
            keep = {n: f"${n}" for n in range(1, count + 1)}
            self.env[f"SQL_{operation.upper()}"] = world.sql(operation, keep)

    def command(self):
        if self.name == "peer-python":
            return [f"{self.made}/venv/bin/python", f"{self.source}/server.py"]
        if self.name == "peer-typescript":
            # Node looks for packages beside the source.
            shutil.copy(f"{self.source}/server.mts", self.folder)
            if not os.path.exists(f"{self.folder}/node_modules"):
                os.symlink(f"{self.made}/node_modules", f"{self.folder}/node_modules")
            return [f"{self.made}/node", f"{self.folder}/server.mts"]
        return [self.made]


def make(folder):
    """What a peer runs from; raises CalledProcessError."""
    script = f"{LIB}/{PEERS[folder][1]}.sh"
    return subprocess.run(["bash", script, f"{HERE}/peers/{folder}"], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout.strip()


def make_all(folders):
    """({folder: what it runs from}, [a line for each that can't be made])"""
    made, left_out = {}, []
    for folder in folders:
        try:
            made[folder] = make(folder)
        except subprocess.CalledProcessError as error:
            why = (error.stderr.strip().splitlines() or ["no reason was given"])[-1]
            left_out.append(f"{PEERS[folder][0]} is left out: {why}")
            print(left_out[-1], file=sys.stderr)
    return made, left_out
