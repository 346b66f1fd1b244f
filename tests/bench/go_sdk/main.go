// The peer of the benchmark: a server on the official Go SDK, as its documentation shows it, with a
// pgx pool. It runs the very SQL that todo-mcp runs, which the benchmark gives it, and answers less
// of each row than todo-mcp does.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type addArgs struct {
	Title string `json:"title" jsonschema:"what is to be done"`
}

type getArgs struct {
	TaskID int64 `json:"task_id" jsonschema:"the task's id"`
}

type listArgs struct {
	Limit int `json:"limit" jsonschema:"tasks a page"`
}

type task struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
}

type tasks struct {
	Tasks []task `json:"tasks"`
}

type server struct {
	pool *pgxpool.Pool
	user int64
}

// query runs one of the benchmark's statements. Each result row has the task's id and title at the
// columns that the statement's own program reads them from.
func (s *server) query(ctx context.Context, sql string, id, title int, args ...any) ([]task, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := []task{}
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return nil, err
		}
		t := task{}
		t.ID, _ = values[id].(int64)
		t.Title, _ = values[title].(string)
		found = append(found, t)
	}
	return found, rows.Err()
}

func (s *server) one(ctx context.Context, sql string, args ...any) (*mcp.CallToolResult, task, error) {
	found, err := s.query(ctx, sql, 4, 5, args...)
	if err != nil {
		return nil, task{}, err
	}
	if len(found) != 1 {
		return nil, task{}, fmt.Errorf("%d rows", len(found))
	}
	return nil, found[0], nil
}

func (s *server) addTask(ctx context.Context, _ *mcp.CallToolRequest, args addArgs) (*mcp.CallToolResult, task, error) {
	return s.one(ctx, os.Getenv("SQL_ADD_TASK"), s.user, args.Title, nil, 1, nil, nil, nil, nil)
}

func (s *server) getTask(ctx context.Context, _ *mcp.CallToolRequest, args getArgs) (*mcp.CallToolResult, task, error) {
	return s.one(ctx, os.Getenv("SQL_GET_TASK"), s.user, args.TaskID)
}

func (s *server) listTasks(ctx context.Context, _ *mcp.CallToolRequest, args listArgs) (*mcp.CallToolResult, tasks, error) {
	found, err := s.query(ctx, os.Getenv("SQL_LIST_TASKS"), 1, 2, s.user, args.Limit)
	return nil, tasks{found}, err
}

func run() error {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	config.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return err
	}
	s := &server{pool: pool}
	if err := pool.QueryRow(context.Background(), "select id from todo.users limit 1").Scan(&s.user); err != nil {
		return err
	}
	m := mcp.NewServer(&mcp.Implementation{Name: "peer", Version: "1"}, nil)
	mcp.AddTool(m, &mcp.Tool{Name: "add_task", Description: "adds a task"}, s.addTask)
	mcp.AddTool(m, &mcp.Tool{Name: "get_task", Description: "gets a task"}, s.getTask)
	mcp.AddTool(m, &mcp.Tool{Name: "list_tasks", Description: "lists tasks"}, s.listTasks)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return m },
		&mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return http.Serve(listener, handler)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
