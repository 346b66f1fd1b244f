#pragma once
/* tools/prompts: what a person picks to start with: plan_day, weekly_review, triage_overdue. Each
 * gives an agent the user's own day and week as times, and the order of work with the tools. */
struct error;
struct mcp_server;
struct tools;

/* After tools_register; `t` is borrowed for the server's life. 0, or the first one's error. */
__attribute__((warn_unused_result)) int prompts_register(struct tools *t, struct mcp_server *server,
                                                         struct error *err);
