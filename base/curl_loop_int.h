#pragma once
/* base/curl_loop_int: libcurl's multi interface on a libuv loop, for http_client and smtp.
 *
 *   curl_loop_take -> the caller sets the options -> curl_loop_start -> done
 *   curl_loop_cancel -> done
 *   curl_loop_close -> done of what is in flight -> gone
 *
 * Owns the handles of libcurl and of libuv; a transfer's memory is its caller's, who frees it in
 * `done` and gives the handle back there by curl_loop_keep. */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct curl_loop;

#define CURL_LOOP_SPARE_MAX 16

/* The first member of the caller's. */
struct curl_transfer {
    struct curl_transfer *prev, *next; /* in loop.active or loop.ended */
    struct curl_loop *loop;
    CURL *easy;
    bool stays; /* the caller's wish: ended well it stays in curl, with its connection, until
                   curl_loop_keep (CURLOPT_CONNECT_ONLY needs that) */
    bool is_in_curl;
    bool is_starved;   /* its socket cannot be watched, for want of memory */
    bool has_ended;    /* is in loop.ended */
    bool is_cancelled; /* once ended */
    CURLcode code;     /* once ended and not cancelled */
    char text[CURL_ERROR_SIZE];
};

struct curl_transfer_list {
    struct curl_transfer *first, *last;
};

/* Comes once for each transfer that was started, never from inside curl_loop_start or
 * curl_loop_cancel; it may start and cancel others and close the loop. */
typedef void (*curl_transfer_fn)(struct curl_transfer *t);
typedef void (*curl_loop_gone_fn)(void *owner);

struct curl_loop {
    uv_loop_t *loop; /* borrowed */
    CURLM *multi;
    uv_timer_t timer;    /* curl's */
    uv_timer_t deferred; /* delivers what was cancelled */
    struct curl_transfer_list active, ended;
    uint32_t count; /* transfers that were not told yet */
    CURL *spare[CURL_LOOP_SPARE_MAX];
    uint32_t spare_count;
    uint32_t handles; /* uv's, not closed yet */
    bool is_delivering;
    bool is_closing;
    bool is_multi_gone;
    curl_transfer_fn done;
    curl_loop_gone_fn gone;
    void *owner;
};

/* In memory of zero bytes. `gone` comes after curl_loop_close with `owner`, which it may free. 0,
 * or BASE_ENOMEM, and then there is nothing to close. */
__attribute__((warn_unused_result)) int curl_loop_init(struct curl_loop *c, uv_loop_t *loop,
                                                       uint32_t connections_per_host,
                                                       curl_transfer_fn done,
                                                       curl_loop_gone_fn gone, void *owner);
/* A handle without options for `t`, or false without memory. */
bool curl_loop_take(struct curl_loop *c, struct curl_transfer *t);
/* For handles that were taken; t->easy may be NULL. A connection that stayed is closed. */
void curl_loop_keep(struct curl_transfer *t);
/* Sets what all transfers have: whom it belongs to, no signals, words for errors, the time of all
 * of it. False without memory. */
bool curl_loop_set(struct curl_transfer *t, uint32_t timeout_ms);
/* 0, or BASE_ENOMEM: then `done` does not come. */
__attribute__((warn_unused_result)) int curl_loop_start(struct curl_transfer *t);
/* It ends as cancelled, unless it has ended already. */
void curl_loop_cancel(struct curl_transfer *t);
/* Cancels what is in flight. Nothing stays in curl any more. */
void curl_loop_close(struct curl_loop *c);
