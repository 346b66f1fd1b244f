// A peer of the benchmark (see ../../peer.py): a server on the official Go SDK, as its documentation
// shows it, with a pgx pool.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const poolSize = 16

type addArgs struct {
	Title string `json:"title" jsonschema:"what is to be done"`
}

type getArgs struct {
	TaskID int64 `json:"task_id" jsonschema:"the task's id"`
}

type listArgs struct {
	Limit int `json:"limit" jsonschema:"tasks a page"`
}

type searchArgs struct {
	Query string `json:"query" jsonschema:"the words to look for"`
	Limit int    `json:"limit" jsonschema:"tasks a page"`
}

type task struct {
	ID          int64   `json:"id"`
	Title       string  `json:"title"`
	Description *string `json:"description"`
	Completed   bool    `json:"completed"`
	Priority    string  `json:"priority"`
	DueDate     *string `json:"due_date"`
	Timezone    string  `json:"timezone"`
	Version     int64   `json:"version"`
	CreatedAt   string  `json:"created_at"`
	UpdatedAt   string  `json:"updated_at"`
}

type tasks struct {
	Tasks []task `json:"tasks"`
}

var priorities = [...]string{"low", "medium", "high", "urgent"}

// Columns before those of the task.
const (
	ofWrite = 4
	ofList  = 1
)

func decode(values []any, first int) task {
	values = values[first:]
	t := task{
		ID:        values[0].(int64),
		Title:     values[1].(string),
		Completed: values[4].(bool),
		Priority:  priorities[values[5].(int16)],
		Timezone:  values[8].(string),
		Version:   values[17].(int64),
		CreatedAt: values[18].(time.Time).Format(time.RFC3339Nano),
		UpdatedAt: values[19].(time.Time).Format(time.RFC3339Nano),
	}
	if text, ok := values[2].(string); ok {
		t.Description = &text
	}
	if due, ok := values[6].(time.Time); ok {
		text := due.Format(time.RFC3339Nano)
		t.DueDate = &text
	}
	return t
}

type server struct {
	pool *pgxpool.Pool
	user int64
}

func (s *server) query(ctx context.Context, sql string, first int, args ...any) ([]task, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (task, error) {
		values, err := row.Values()
		if err != nil {
			return task{}, err
		}
		return decode(values, first), nil
	})
}

func (s *server) one(ctx context.Context, sql string, args ...any) (*mcp.CallToolResult, task, error) {
	found, err := s.query(ctx, sql, ofWrite, args...)
	if err != nil {
		return nil, task{}, err
	}
	if len(found) != 1 {
		return nil, task{}, fmt.Errorf("%d rows", len(found))
	}
	return nil, found[0], nil
}

// One row more than the limit tells whether there is another page.
func (s *server) page(ctx context.Context, sql string, limit int, args ...any) (*mcp.CallToolResult, tasks, error) {
	found, err := s.query(ctx, sql, ofList, append(args, limit+1)...)
	if err != nil {
		return nil, tasks{}, err
	}
	return nil, tasks{found[:min(limit, len(found))]}, nil
}

func (s *server) addTask(ctx context.Context, _ *mcp.CallToolRequest, args addArgs) (*mcp.CallToolResult, task, error) {
	return s.one(ctx, os.Getenv("SQL_ADD_TASK"), s.user, args.Title, nil, 1, nil, nil, nil, nil)
}

func (s *server) getTask(ctx context.Context, _ *mcp.CallToolRequest, args getArgs) (*mcp.CallToolResult, task, error) {
	return s.one(ctx, os.Getenv("SQL_GET_TASK"), s.user, args.TaskID)
}

func (s *server) listTasks(ctx context.Context, _ *mcp.CallToolRequest, args listArgs) (*mcp.CallToolResult, tasks, error) {
	return s.page(ctx, os.Getenv("SQL_LIST_TASKS"), args.Limit, s.user)
}

func (s *server) searchTasks(ctx context.Context, _ *mcp.CallToolRequest, args searchArgs) (*mcp.CallToolResult, tasks, error) {
	return s.page(ctx, os.Getenv("SQL_SEARCH_TASKS"), args.Limit, s.user, args.Query)
}

func run() error {
	config, err := pgxpool.ParseConfig("") // of the environment
	if err != nil {
		return err
	}
	config.MaxConns = poolSize
	config.ConnConfig.RuntimeParams["options"] = os.Getenv("PGOPTIONS")
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return err
	}
	s := &server{pool: pool}
	if err := pool.QueryRow(context.Background(), os.Getenv("SQL_USER")).Scan(&s.user); err != nil {
		return err
	}
	m := mcp.NewServer(&mcp.Implementation{Name: "peer", Version: "1"}, nil)
	mcp.AddTool(m, &mcp.Tool{Name: "add_task", Description: "adds a task"}, s.addTask)
	mcp.AddTool(m, &mcp.Tool{Name: "get_task", Description: "gets a task"}, s.getTask)
	mcp.AddTool(m, &mcp.Tool{Name: "list_tasks", Description: "lists tasks"}, s.listTasks)
	mcp.AddTool(m, &mcp.Tool{Name: "search_tasks", Description: "finds tasks by words"}, s.searchTasks)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return m },
		&mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	return http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), handler)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
