#pragma once
/* mcp/error: JSON-RPC 2.0 and MCP error codes as they stand on the wire.
 * Spec: basic/index#error-codes of revision 2026-07-28. */

enum mcp_error_code {
    MCP_PARSE_ERROR = -32700,
    MCP_INVALID_REQUEST = -32600,
    MCP_METHOD_NOT_FOUND = -32601,
    MCP_INVALID_PARAMS = -32602,
    MCP_INTERNAL_ERROR = -32603,
    MCP_SERVER_BUSY = -32000,
    MCP_SESSION_NOT_FOUND = -32001,  /* handshake revisions, with HTTP 404 */
    MCP_RESOURCE_NOT_FOUND = -32002, /* handshake revisions; INVALID_PARAMS in the stateless one */
    MCP_HEADER_MISMATCH = -32020,
    MCP_MISSING_CLIENT_CAPABILITY = -32021,
    MCP_UNSUPPORTED_VERSION = -32022,
};
