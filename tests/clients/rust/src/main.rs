//! Drives the official Rust SDK by commands on stdin, one JSON object a line, each answered by one
//! line on stdout: the same as ../bridge.mjs. Argument: {revision, url} or {revision, command, args,
//! env}.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use rmcp::model::{
    ClientCapabilities, ClientConfig, Implementation, ProtocolVersion,
    ResourceUpdatedNotificationParam, ServerNotification, SubscribeRequestParams,
    SubscriptionFilter,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, Peer, RunningService, ServiceError,
};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, RoleClient};
use serde::{Deserialize, Serialize};
use serde_json::{Value, from_value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

type Failure = Box<dyn Error + Send + Sync>;
type Session = RunningService<RoleClient, Client>;

#[derive(Deserialize)]
struct Options {
    revision: String,
    url: Option<String>,
    #[serde(default)]
    command: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Command {
    method: String,
    #[serde(default)]
    params: Value,
}

/// The URIs of the resources that were updated.
type Heard = Arc<Mutex<Vec<String>>>;

struct Client {
    revision: ProtocolVersion,
    heard: Heard,
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("bridge-rust", "1"),
        )
        .with_protocol_version(self.revision.clone())
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.heard.lock().unwrap().push(params.uri);
    }
}

async fn connect(options: Options, heard: Heard) -> Result<Session, Failure> {
    let revision: ProtocolVersion = from_value(json!(options.revision))?;
    let mode = if revision.has_initialize() {
        ClientLifecycleMode::Initialize
    } else {
        ClientLifecycleMode::Discover {
            preferred_versions: vec![revision.clone()],
        }
    };
    let client = Client { revision, heard };
    if let Some(url) = options.url {
        let transport = StreamableHttpClientTransport::from_uri(url);
        return Ok(client.serve_with_lifecycle(transport, mode).await?);
    }
    let mut program = tokio::process::Command::new(options.command);
    program.args(options.args).envs(options.env);
    let transport = TokioChildProcess::new(program)?;
    Ok(client.serve_with_lifecycle(transport, mode).await?)
}

#[allow(deprecated)] // `Peer::subscribe`, the way of the older revisions
/// In the stateless revision a stream of its own tells of updates; before it, the handler hears.
async fn subscribe(session: &Session, params: Value) -> Result<Value, Failure> {
    let params: SubscribeRequestParams = from_value(params)?;
    if session.service().revision.has_initialize() {
        session.subscribe(params).await?;
        return Ok(json!({}));
    }
    let filter = SubscriptionFilter::builder().resource_subscription(params.uri);
    let mut stream = session.listen(filter.build()).await?;
    let heard = session.service().heard.clone();
    tokio::spawn(async move {
        while let Ok(Some(notification)) = stream.next().await {
            if let ServerNotification::ResourceUpdatedNotification(updated) = notification {
                heard.lock().unwrap().push(updated.params.uri);
            }
        }
    });
    Ok(json!({}))
}

fn result(object: impl Serialize) -> Result<Value, Failure> {
    Ok(serde_json::to_value(object)?)
}

async fn run(session: &Session, command: Command) -> Result<Value, Failure> {
    let peer: &Peer<RoleClient> = session.peer();
    let params = command.params;
    match command.method.as_str() {
        "tools/list" => result(peer.list_tools(None).await?),
        "tools/call" => result(peer.call_tool(from_value(params)?).await?),
        "resources/list" => result(peer.list_resources(None).await?),
        "resources/read" => result(peer.read_resource(from_value(params)?).await?),
        "prompts/list" => result(peer.list_prompts(None).await?),
        "prompts/get" => result(peer.get_prompt(from_value(params)?).await?),
        "resources/subscribe" => subscribe(session, params).await,
        "heard" => result(json!({"uris": *session.service().heard.lock().unwrap()})),
        other => Err(format!("no command {other:?}").into()),
    }
}

fn refusal(error: Failure) -> Value {
    let code = match error.downcast_ref::<ServiceError>() {
        Some(ServiceError::McpError(e)) => json!(e.code),
        _ => Value::Null,
    };
    json!({"error": {"code": code, "message": error.to_string()}})
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let options = std::env::args().nth(1).ok_or("no options")?;
    let session = connect(serde_json::from_str(&options)?, Heard::default()).await?;
    let server = session.peer().peer_info().ok_or("nothing of the server")?;
    println!(
        "{}",
        json!({"revision": server.protocol_version, "server": server.server_info,
               "instructions": server.instructions})
    );
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match run(&session, serde_json::from_str(&line)?).await {
            Ok(result) => json!({"result": result}),
            Err(error) => refusal(error),
        };
        println!("{answer}");
    }
    session.cancel().await?;
    Ok(())
}
