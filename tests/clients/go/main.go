// Drives the official Go SDK by commands on stdin, one JSON object a line, each answered by one line
// on stdout: the same as ../bridge.mjs. Argument: {revision, url} or {revision, command, args, env}.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type options struct {
	Revision string            `json:"revision"`
	URL      string            `json:"url"`
	Command  string            `json:"command"`
	Args     []string          `json:"args"`
	Env      map[string]string `json:"env"`
}

type command struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// heard keeps the URIs of the resources that were updated.
type heard struct {
	mu   sync.Mutex
	uris []string
}

func (h *heard) add(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.uris = append(h.uris, r.Params.URI)
}

func (h *heard) all() map[string]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	return map[string]any{"uris": append([]string{}, h.uris...)}
}

func transport(o options) mcp.Transport {
	if o.URL != "" {
		return &mcp.StreamableClientTransport{Endpoint: o.URL}
	}
	program := exec.Command(o.Command, o.Args...)
	program.Stderr = os.Stderr
	program.Env = os.Environ()
	for name, value := range o.Env {
		program.Env = append(program.Env, name+"="+value)
	}
	return &mcp.CommandTransport{Command: program}
}

// with decodes the parameters of a command and hands them to a method of the session.
func with[P, R any](ctx context.Context, method func(context.Context, *P) (R, error),
	raw json.RawMessage) (any, error) {
	params := new(P)
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, params); err != nil {
			return nil, err
		}
	}
	return method(ctx, params)
}

func subscribe(ctx context.Context, session *mcp.ClientSession, raw json.RawMessage) (any, error) {
	var params mcp.SubscribeParams
	if err := json.Unmarshal(raw, &params); err != nil {
		return nil, err
	}
	return map[string]any{}, session.Subscribe(ctx, &params)
}

func run(ctx context.Context, session *mcp.ClientSession, h *heard, c command) (any, error) {
	switch c.Method {
	case "tools/list":
		return with(ctx, session.ListTools, c.Params)
	case "tools/call":
		return with(ctx, session.CallTool, c.Params)
	case "resources/list":
		return with(ctx, session.ListResources, c.Params)
	case "resources/read":
		return with(ctx, session.ReadResource, c.Params)
	case "prompts/list":
		return with(ctx, session.ListPrompts, c.Params)
	case "prompts/get":
		return with(ctx, session.GetPrompt, c.Params)
	case "resources/subscribe":
		return subscribe(ctx, session, c.Params)
	case "heard":
		return h.all(), nil
	}
	return nil, fmt.Errorf("no command %q", c.Method)
}

func answer(object map[string]any) {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

func refusal(err error) map[string]any {
	var code any
	var wire *jsonrpc.Error
	if errors.As(err, &wire) {
		code = wire.Code
	}
	return map[string]any{"error": map[string]any{"code": code, "message": err.Error()}}
}

func serve(ctx context.Context, o options) error {
	h := &heard{}
	client := mcp.NewClient(&mcp.Implementation{Name: "bridge-go", Version: "1"},
		&mcp.ClientOptions{ResourceUpdatedHandler: h.add})
	session, err := client.Connect(ctx, transport(o),
		&mcp.ClientSessionOptions{ProtocolVersion: o.Revision})
	if err != nil {
		return err
	}
	agreed := session.InitializeResult()
	answer(map[string]any{"revision": agreed.ProtocolVersion, "server": agreed.ServerInfo,
		"instructions": agreed.Instructions})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return err
		}
		if result, err := run(ctx, session, h, c); err != nil {
			answer(refusal(err))
		} else {
			answer(map[string]any{"result": result})
		}
	}
	return errors.Join(lines.Err(), session.Close())
}

func main() {
	var o options
	err := json.Unmarshal([]byte(os.Args[1]), &o)
	if err == nil {
		err = serve(context.Background(), o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
