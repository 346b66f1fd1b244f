"""A peer of the benchmark (see ../../peer.py): a server on the official Python SDK, as its
documentation shows it, with an asyncpg pool, and uvicorn with all that makes it faster."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import BaseModel

POOL_SIZE = 16
PRIORITIES = ("low", "medium", "high", "urgent")
OF_WRITE, OF_LIST = 4, 1  # columns before those of the task


class Task(BaseModel):
    id: int
    title: str
    description: str | None
    completed: bool
    priority: str
    due_date: datetime | None
    timezone: str
    version: int
    created_at: datetime
    updated_at: datetime


class Tasks(BaseModel):
    tasks: list[Task]


@dataclass
class App:
    pool: asyncpg.Pool
    user: int


@asynccontextmanager
async def lifespan(_: MCPServer) -> AsyncIterator[App]:
    async with asyncpg.create_pool(
            min_size=POOL_SIZE, max_size=POOL_SIZE,
            server_settings={"options": os.environ["PGOPTIONS"]}) as pool:
        yield App(pool, await pool.fetchval(os.environ["SQL_USER"]))


mcp = MCPServer("peer", lifespan=lifespan, log_level="WARNING")


def decode(row: asyncpg.Record, first: int) -> Task:
    return Task(id=row[first], title=row[first + 1], description=row[first + 2],
                completed=row[first + 4], priority=PRIORITIES[row[first + 5]],
                due_date=row[first + 6], timezone=row[first + 8], version=row[first + 17],
                created_at=row[first + 18], updated_at=row[first + 19])


async def one(ctx: Context[App], sql: str, *args: object) -> Task:
    app = ctx.request_context.lifespan_context
    row = await app.pool.fetchrow(sql, app.user, *args)
    if row is None:
        raise ValueError("no such task")
    return decode(row, OF_WRITE)


async def page(ctx: Context[App], sql: str, limit: int, *args: object) -> Tasks:
    """One row more than the limit tells whether there is another page."""
    app = ctx.request_context.lifespan_context
    rows = await app.pool.fetch(sql, app.user, *args, limit + 1)
    return Tasks(tasks=[decode(row, OF_LIST) for row in rows[:limit]])


@mcp.tool()
async def add_task(title: str, ctx: Context[App]) -> Task:
    """Adds a task."""
    return await one(ctx, os.environ["SQL_ADD_TASK"], title, None, 1, None, None, None, None)


@mcp.tool()
async def get_task(task_id: int, ctx: Context[App]) -> Task:
    """Gets a task."""
    return await one(ctx, os.environ["SQL_GET_TASK"], task_id)


@mcp.tool()
async def list_tasks(limit: int, ctx: Context[App]) -> Tasks:
    """Lists tasks."""
    return await page(ctx, os.environ["SQL_LIST_TASKS"], limit)


@mcp.tool()
async def search_tasks(query: str, limit: int, ctx: Context[App]) -> Tasks:
    """Finds tasks by words."""
    return await page(ctx, os.environ["SQL_SEARCH_TASKS"], limit, query)


if __name__ == "__main__":
    mcp.run(transport="streamable-http", host="127.0.0.1", port=int(os.environ["PORT"]),
            json_response=True, stateless_http=True)
