// Says whether the history of tool calls on stdin is linearizable, each task for itself: whether the
// calls could have taken effect one after the other, each at some moment between its start and its
// answer, and have had just these answers. Exit code 0: yes; 1: no; 2: not known in time.
//
// A line a call. One without an answer (`answer` null) may take effect at any later time, or never.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

const patience = 60 * time.Second

type call struct {
	Client   int     `json:"client"`
	Task     string  `json:"task"` // the idempotency key that makes it
	Tool     string  `json:"tool"` // add, get, update, reopen, complete, delete
	Title    string  `json:"title"`
	Expected int64   `json:"expected"` // version; 0: any
	Began    int64   `json:"began"`    // ns
	Ended    int64   `json:"ended"`
	Answer   *answer `json:"answer"`
}

type answer struct {
	Code      string `json:"code"` // "", not_found, conflict
	Version   int64  `json:"version"`
	Title     string `json:"title"`
	Completed bool   `json:"completed"`
	Already   bool   `json:"already"` // completed before
}

type task struct {
	IsMade, IsDeleted bool
	Version           int64
	Title             string
	Completed         bool
}

func (t task) answer() answer {
	return answer{Version: t.Version, Title: t.Title, Completed: t.Completed}
}

// What the tools promise: the answer, and the task afterwards.
func apply(t task, c call) (answer, task) {
	if c.Tool == "add" && !t.IsMade {
		t = task{IsMade: true, Version: 1, Title: c.Title}
		return t.answer(), t
	}
	if !t.IsMade || t.IsDeleted {
		return answer{Code: "not_found"}, t
	}
	next := t
	switch c.Tool {
	case "update":
		if c.Expected != 0 && c.Expected != t.Version {
			return answer{Code: "conflict", Version: t.Version}, t
		}
		next.Title = c.Title
	case "reopen":
		next.Completed = false
	case "complete":
		next.Completed = true
	case "delete":
		next.IsDeleted = true
		return answer{}, next
	}
	if next != t {
		next.Version++
	}
	a := next.answer()
	a.Already = c.Tool == "complete" && t.Completed
	return a, next
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		tasks := map[string][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(call).Task
			tasks[key] = append(tasks[key], op)
		}
		parts := make([][]porcupine.Operation, 0, len(tasks))
		for _, part := range tasks {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return task{} },
	Step: func(state, input, output any) (bool, any) {
		expected, next := apply(state.(task), input.(call))
		given := output.(*answer)
		return given == nil || *given == expected, next
	},
	DescribeOperation: func(input, output any) string {
		in, _ := json.Marshal(input)
		out, _ := json.Marshal(output)
		return string(in) + " -> " + string(out)
	},
}

func read() ([]porcupine.Operation, error) {
	var history []porcupine.Operation
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c call
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return nil, err
		}
		op := porcupine.Operation{ClientId: c.Client, Input: c, Call: c.Began, Output: c.Answer,
			Return: c.Ended}
		if c.Answer == nil {
			op.Return = math.MaxInt64
		}
		history = append(history, op)
	}
	return history, lines.Err()
}

func main() {
	history, err := read()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	wrong, unknown := 0, 0
	for _, part := range model.Partition(history) {
		whole := model
		whole.Partition = nil
		result := porcupine.CheckOperationsTimeout(whole, part, patience)
		if result == porcupine.Unknown {
			unknown++
		}
		if result != porcupine.Illegal {
			continue
		}
		wrong++
		fmt.Printf("not linearizable:\n")
		for _, op := range part {
			fmt.Println(" ", model.DescribeOperation(op.Input, op.Output))
		}
	}
	switch {
	case wrong > 0:
		os.Exit(1)
	case unknown > 0:
		fmt.Printf("%d tasks were not judged within %s\n", unknown, patience)
		os.Exit(2)
	}
}
