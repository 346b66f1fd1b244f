"""The goals, and the table that holds what was measured against them."""

AT_LEAST, AT_MOST = "≥", "≤"
# figure, what it is, which way it goes, the floor, the goal, its unit
GOALS = (
    ("add_task_32_ratio", "add_task, 32 connections: calls/s ÷ pgbench's", AT_LEAST, .5, 1, ""),
    ("get_task_32_ratio", "get_task, the same", AT_LEAST, .5, .9, ""),
    ("list_tasks_32_ratio", "list_tasks, the same", AT_LEAST, .5, .9, ""),
    ("search_tasks_32_ratio", "search_tasks, the same", AT_LEAST, .5, .9, ""),
    ("add_task_32_go_ratio", "add_task, 32 connections: calls/s ÷ the Go SDK's", AT_LEAST, 5, 10,
     ""),
    ("get_task_32_go_ratio", "get_task, the same", AT_LEAST, None, None, ""),
    ("list_tasks_32_go_ratio", "list_tasks, the same", AT_LEAST, None, None, ""),
    ("search_tasks_32_go_ratio", "search_tasks, the same", AT_LEAST, None, None, ""),
    ("add_task_1_latency_ratio", "add_task, 1 connection: p50 ÷ pgbench's", AT_MOST, 2, 1.3, ""),
    ("add_task_32_p99_ms", "add_task, 32 connections: p99", AT_MOST, 10, 4, "ms"),
    ("get_task_32_p99_ms", "get_task, the same", AT_MOST, 10, 4, "ms"),
    ("list_tasks_32_p99_ms", "list_tasks, the same", AT_MOST, 10, 4, "ms"),
    ("search_tasks_32_p99_ms", "search_tasks, the same", AT_MOST, 10, 4, "ms"),
    ("memory_idle_mb", "resident memory, idle", AT_MOST, 12, 6, "MB"),
    ("memory_busy_32_mb", "resident memory, 32 busy connections", AT_MOST, 20, 12, "MB"),
    ("memory_streams_mb", "resident memory, 10,000 idle SSE streams", AT_MOST, 120, 60, "MB"),
    ("cold_start_there_ms", "start to first answer, database there", AT_MOST, 100, 20, "ms"),
    ("cold_start_made_ms", "start to first answer, private database made anew", AT_MOST, 5000, 2000,
     "ms"),
    ("cold_start_again_ms", "start to first answer, private database there", AT_MOST, None, None,
     "ms"),
    ("middle_get_task", "get_task: p50 with 100,000 tasks ÷ with 1,000", AT_MOST, 2, 1.2, ""),
    ("middle_list_tasks", "list_tasks, the same", AT_MOST, 2, 1.2, ""),
    ("middle_search_tasks", "search_tasks, the same", AT_MOST, 2, 1.2, ""),
    ("large_get_task", "get_task: p50 with 5,000,000 tasks ÷ with 1,000", AT_MOST, 2, 1.2, ""),
    ("large_list_tasks", "list_tasks, the same", AT_MOST, 2, 1.2, ""),
    ("large_search_tasks", "search_tasks, the same", AT_MOST, 2, 1.2, ""),
    ("tokens_tools_list", "tokens of tools/list", AT_MOST, 6000, 3500, ""),
    ("tokens_list_tasks", "tokens of list_tasks, longest descriptions", AT_MOST, 8000, 5000, ""),
    ("tokens_search_tasks", "tokens of search_tasks, the same", AT_MOST, 8000, 5000, ""),
)


def number(value, unit=""):
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def verdict(value, way, floor, goal):
    def holds(limit):
        return value >= limit if way == AT_LEAST else value <= limit
    if goal is None:
        return "recorded"
    if holds(goal):
        return "goal"
    return "floor" if holds(floor) else "MISSED"


def print_table(figures):
    print(f"\n{'figure':52} {'':1} {'floor':>9} {'goal':>9} {'got':>10}")
    for key, label, way, floor, goal, unit in GOALS:
        if key in figures:
            print(f"{label:52} {way} {number(floor):>9} {number(goal):>9} "
                  f"{number(figures[key], unit):>10}  {verdict(figures[key], way, floor, goal)}")
