#pragma once
/* apps/todo-mcp/routes: HTTP paths -> the MCP endpoint and the probes.
 *   /mcp      the endpoint
 *   /.well-known/oauth-protected-resource, also with a path: who gives tokens for it (RFC 9728)
 *   /healthz  200: the process serves
 *   /readyz   200 while the database answers, else 503
 *   /metrics  Prometheus's text */
struct http_request;

#define ROUTES_MCP "/mcp"

/* The http_request_fn of the server; ctx is the struct app. */
void routes_handle(void *ctx, struct http_request *req);
