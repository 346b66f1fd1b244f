// A peer of the benchmark (see ../../peer.py): a server on the official TypeScript SDK, as its
// documentation shows it, on node:http with a pg pool.
import { createServer } from 'node:http';
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import pg from 'pg';
import * as z from 'zod/v4';

const POOL_SIZE = 16;
const PRIORITIES = ['low', 'medium', 'high', 'urgent'];
// Columns before those of the task.
const OF_WRITE = 4;
const OF_LIST = 1;

const Task = z.object({
    id: z.number().int(),
    title: z.string(),
    description: z.string().nullable(),
    completed: z.boolean(),
    priority: z.string(),
    due_date: z.string().nullable(),
    timezone: z.string(),
    version: z.number().int(),
    created_at: z.string(),
    updated_at: z.string()
});
const Tasks = z.object({ tasks: z.array(Task) });

const env = process.env as Record<string, string>;
pg.types.setTypeParser(pg.types.builtins.INT8, Number);
const pool = new pg.Pool({ max: POOL_SIZE });
const user: number = (await pool.query({ text: env.SQL_USER, rowMode: 'array' })).rows[0][0];

function decode(row: any[], first: number): z.infer<typeof Task> {
    return {
        id: row[first],
        title: row[first + 1],
        description: row[first + 2],
        completed: row[first + 4],
        priority: PRIORITIES[row[first + 5]],
        due_date: row[first + 6]?.toISOString() ?? null,
        timezone: row[first + 8],
        version: row[first + 17],
        created_at: row[first + 18].toISOString(),
        updated_at: row[first + 19].toISOString()
    };
}

// A named query is prepared once for each connection.
async function query(name: string, text: string, first: number, ...values: unknown[]) {
    const result = await pool.query({ name, text, rowMode: 'array', values: [user, ...values] });
    return result.rows.map(row => decode(row, first));
}

function answer(output: z.infer<typeof Task> | z.infer<typeof Tasks>) {
    return { content: [{ type: 'text' as const, text: JSON.stringify(output) }], structuredContent: output };
}

async function one(name: string, text: string, ...values: unknown[]) {
    const [task] = await query(name, text, OF_WRITE, ...values);
    if (!task) throw new Error('no such task');
    return answer(task);
}

// One row more than the limit tells whether there is another page.
async function page(name: string, text: string, limit: number, ...values: unknown[]) {
    return answer({ tasks: (await query(name, text, OF_LIST, ...values, limit + 1)).slice(0, limit) });
}

const limit = z.number().int();
const schemas = {
    add: z.object({ title: z.string() }),
    get: z.object({ task_id: z.number().int() }),
    list: z.object({ limit }),
    search: z.object({ query: z.string(), limit })
};

const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'peer', version: '1' });
    server.registerTool(
        'add_task',
        { description: 'Adds a task', inputSchema: schemas.add, outputSchema: Task },
        ({ title }) => one('add', env.SQL_ADD_TASK, title, null, 1, null, null, null, null)
    );
    server.registerTool(
        'get_task',
        { description: 'Gets a task', inputSchema: schemas.get, outputSchema: Task },
        ({ task_id }) => one('get', env.SQL_GET_TASK, task_id)
    );
    server.registerTool(
        'list_tasks',
        { description: 'Lists tasks', inputSchema: schemas.list, outputSchema: Tasks },
        ({ limit }) => page('list', env.SQL_LIST_TASKS, limit)
    );
    server.registerTool(
        'search_tasks',
        { description: 'Finds tasks by words', inputSchema: schemas.search, outputSchema: Tasks },
        ({ query, limit }) => page('search', env.SQL_SEARCH_TASKS, limit, query)
    );
    return server;
});

const nodeHandler = toNodeHandler(handler);
const validateHost = localhostHostValidation();
const validateOrigin = localhostOriginValidation();
createServer((req, res) => {
    if (!validateHost(req, res) || !validateOrigin(req, res)) return;
    void nodeHandler(req, res);
}).listen(Number(env.PORT), '127.0.0.1');
