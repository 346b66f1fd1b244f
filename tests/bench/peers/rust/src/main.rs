//! A peer of the benchmark (see ../../../peer.py): a server on the official Rust SDK, as its
//! documentation shows it, with axum and an sqlx pool.

use std::env::var;
use std::error::Error;
use std::sync::Arc;

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{Json, ServerHandler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::types::chrono::{DateTime, Utc};

const POOL_SIZE: u32 = 16;
const PRIORITIES: [&str; 4] = ["low", "medium", "high", "urgent"];
/// Columns before those of the task.
const OF_WRITE: usize = 4;
const OF_LIST: usize = 1;

#[derive(Deserialize, JsonSchema)]
struct AddArgs {
    title: String,
}

#[derive(Deserialize, JsonSchema)]
struct GetArgs {
    task_id: i64,
}

#[derive(Deserialize, JsonSchema)]
struct ListArgs {
    limit: i32,
}

#[derive(Deserialize, JsonSchema)]
struct SearchArgs {
    query: String,
    limit: i32,
}

#[derive(Serialize, JsonSchema)]
struct Task {
    id: i64,
    title: String,
    description: Option<String>,
    completed: bool,
    priority: &'static str,
    due_date: Option<DateTime<Utc>>,
    timezone: String,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Serialize, JsonSchema)]
struct Tasks {
    tasks: Vec<Task>,
}

/// The benchmark's statements.
struct Sql {
    add: String,
    get: String,
    list: String,
    search: String,
}

#[derive(Clone)]
struct Peer {
    pool: PgPool,
    user: i64,
    sql: Arc<Sql>,
    tool_router: ToolRouter<Self>,
}

fn decode(row: &PgRow, first: usize) -> Result<Task, sqlx::Error> {
    let priority: i16 = row.try_get(first + 5)?;
    Ok(Task {
        id: row.try_get(first)?,
        title: row.try_get(first + 1)?,
        description: row.try_get(first + 2)?,
        completed: row.try_get(first + 4)?,
        priority: PRIORITIES[priority as usize],
        due_date: row.try_get(first + 6)?,
        timezone: row.try_get(first + 8)?,
        version: row.try_get(first + 17)?,
        created_at: row.try_get(first + 18)?,
        updated_at: row.try_get(first + 19)?,
    })
}

type Rows = Result<Vec<PgRow>, sqlx::Error>;

fn one(rows: Rows) -> Result<Json<Task>, String> {
    let rows = rows.map_err(|e| e.to_string())?;
    let row = rows.first().ok_or("no such task")?;
    Ok(Json(decode(row, OF_WRITE).map_err(|e| e.to_string())?))
}

/// One row more than the limit tells whether there is another page.
fn page(rows: Rows, limit: i32) -> Result<Json<Tasks>, String> {
    let rows = rows.map_err(|e| e.to_string())?;
    let tasks: Result<_, sqlx::Error> = rows
        .iter()
        .take(limit as usize)
        .map(|row| decode(row, OF_LIST))
        .collect();
    Ok(Json(Tasks {
        tasks: tasks.map_err(|e| e.to_string())?,
    }))
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Peer {}

#[tool_router(router = tool_router)]
impl Peer {
    async fn new() -> Result<Self, Box<dyn Error>> {
        let options = PgConnectOptions::new(); // of the environment
        let pool = PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .connect_with(options)
            .await?;
        let user = sqlx::query_scalar(&var("SQL_USER")?)
            .fetch_one(&pool)
            .await?;
        Ok(Self {
            pool,
            user,
            sql: Arc::new(Sql {
                add: var("SQL_ADD_TASK")?,
                get: var("SQL_GET_TASK")?,
                list: var("SQL_LIST_TASKS")?,
                search: var("SQL_SEARCH_TASKS")?,
            }),
            tool_router: Self::tool_router(),
        })
    }

    #[tool(description = "Adds a task")]
    async fn add_task(&self, Parameters(args): Parameters<AddArgs>) -> Result<Json<Task>, String> {
        let query = sqlx::query(&self.sql.add)
            .bind(self.user)
            .bind(args.title)
            .bind(None::<String>)
            .bind(1_i16)
            .bind(None::<DateTime<Utc>>)
            .bind(None::<String>)
            .bind(None::<String>)
            .bind(None::<String>);
        one(query.fetch_all(&self.pool).await)
    }

    #[tool(description = "Gets a task")]
    async fn get_task(&self, Parameters(args): Parameters<GetArgs>) -> Result<Json<Task>, String> {
        let query = sqlx::query(&self.sql.get)
            .bind(self.user)
            .bind(args.task_id);
        one(query.fetch_all(&self.pool).await)
    }

    #[tool(description = "Lists tasks")]
    async fn list_tasks(
        &self,
        Parameters(args): Parameters<ListArgs>,
    ) -> Result<Json<Tasks>, String> {
        let query = sqlx::query(&self.sql.list)
            .bind(self.user)
            .bind(args.limit + 1);
        page(query.fetch_all(&self.pool).await, args.limit)
    }

    #[tool(description = "Finds tasks by words")]
    async fn search_tasks(
        &self,
        Parameters(args): Parameters<SearchArgs>,
    ) -> Result<Json<Tasks>, String> {
        let query = sqlx::query(&self.sql.search)
            .bind(self.user)
            .bind(args.query)
            .bind(args.limit + 1);
        page(query.fetch_all(&self.pool).await, args.limit)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let peer = Peer::new().await?;
    let service = StreamableHttpService::new(
        move || Ok(peer.clone()),
        LocalSessionManager::default().into(),
        StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true),
    );
    let router = axum::Router::new().nest_service("/mcp", service);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", var("PORT")?)).await?;
    axum::serve(listener, router).await?;
    Ok(())
}
