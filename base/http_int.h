#pragma once
/* base/http_int: what http_server.c (listening, time, end), http_conn.c (bytes -> requests) and
 * http_response.c (answers -> bytes) share.
 *
 * A connection holds its requests in order of arrival. Only the first one's answer is written;
 * those of later ones wait in their own buffers. A request outlives its connection until its
 * handler has answered it. */
#include <llhttp.h>
#include <uv.h>

#include "base/buf.h"
#include "base/http_server.h"

#define HTTP_READ_BYTES    65536
#define HTTP_HEADERS_MAX   100
#define HTTP_FIELDS        16   /* room for headers at first */
#define HTTP_ARENA_BYTES   1024 /* the first block of a request's arena */
#define HTTP_FREE_REQUESTS 256
#define HTTP_KEEP_BYTES    16384       /* buffers larger than this are given back after use */
#define HTTP_UNSENT_BYTES  (256 << 10) /* with more than this to write no request is read */
#define HTTP_LINGER_MS     2000

struct http_span {
    uint32_t at, len; /* in request->head */
};

struct http_field {
    struct http_span name, value;
};

struct http_request {
    struct http_server *server;
    struct http_conn *conn; /* NULL: the client is gone */
    struct http_request *next;
    struct buf head; /* target, then names and values, as they came */
    struct buf body;
    struct buf out; /* the answer, while it is not this request's turn or not yet sent */
    struct arena arena;
    struct http_span target;
    struct http_field *fields;
    uint32_t header_count, field_cap;
    uint8_t method;
    bool is_http_1_0;
    bool is_keep_alive;
    bool is_streaming;
    bool is_answered; /* the answer is complete */
    bool is_handed;   /* the handler has it */
    bool is_gone_told;
    bool is_in_field;  /* a part of a header's name was read */
    bool is_head_done; /* what comes now are trailers */
    bool is_held;      /* by its handler, beyond the answer */
    bool is_ended;     /* answered and sent, but held */
    http_gone_fn on_gone;
    void *on_gone_ctx;
    void *data;
    int status;       /* of the answer, once begun */
    int64_t since_us; /* it began; where the server is measured */
};

struct http_conn {
    struct http_server *server;
    struct http_conn *prev, *next;
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
    llhttp_t parser;
    struct http_request *first, *last; /* handed to the handler, unanswered or unsent */
    struct http_request *reading;      /* being parsed */
    uint32_t in_flight;
    struct buf out;        /* bytes to write */
    struct buf in_write;   /* bytes that libuv is writing */
    struct buf pending;    /* input held back by back pressure */
    const char *value_end; /* where the last header value span ended, to see obs-fold */
    const char *lines_at;  /* of the head being read: where in the input its lines are unchecked */
    char last_byte;        /* the one before `lines_at` */
    uint32_t head_bytes;
    uint64_t started_ms;   /* of the request being read; 0: none */
    uint64_t active_ms;    /* the last byte read or written */
    uint64_t linger_by_ms; /* 0: not lingering */
    char peer[46];
    bool is_loopback;
    bool is_writing;
    bool has_asked;    /* a whole request of it was read */
    bool is_corked;    /* inside the parser: answers gather */
    bool is_paused;    /* too many requests in flight or bytes unsent */
    bool is_read_done; /* no further request will be read */
    bool is_refused;   /* ... because the one being read was refused, perhaps in its middle */
    bool is_closing;
};

struct http_listener {
    uv_tcp_t tcp;
    struct http_server *server;
    struct http_listener *next;
    bool is_waiting; /* a connection was not taken; libuv tells of no other before it is */
};

struct http_server {
    uv_loop_t *loop;
    struct http_limits limits;
    const struct log *log;
    http_request_fn on_request;
    void *ctx;
    http_measure_fn measure; /* NULL: none */
    void *measure_ctx;
    struct http_listener *listeners;
    uint16_t port;
    struct http_conn *conns;
    uint32_t conn_count;
    uint32_t closing_count; /* connections whose close callback is to come */
    uint32_t request_count; /* alive, also of connections that are gone */
    struct http_request *free_requests;
    uint32_t free_count;
    llhttp_settings_t settings;
    uv_timer_t janitor;
    uint64_t drain_by_ms;
    bool is_leaving; /* http_server_leave */
    bool is_closing;
    bool is_janitor_closed;
    http_closed_fn closed;
    void *closed_ctx;
    uint64_t date_s;
    char date[40];
    char read_bytes[HTTP_READ_BYTES];
};

/* http_server.c */
void http_server_try_free(struct http_server *s);
const char *http_server_date(struct http_server *s);

/* http_conn.c */
void http_conn_settings_init(llhttp_settings_t *settings);
/* False when there was no memory: the connection waits. */
bool http_conn_accept(struct http_server *s, uv_stream_t *listener);
/* Stops reading and ends as soon as what was answered is written. */
void http_conn_finish_reading(struct http_conn *c);
/* Cuts the connection; its requests become gone, which their handlers hear on a later turn of the
 * loop. */
void http_conn_close(struct http_conn *c);
void http_conn_resume(struct http_conn *c);
void http_conn_expire(struct http_conn *c, uint64_t now_ms);

/* http_response.c */
struct http_request *http_request_new(struct http_server *s);
/* Back to the free ones, or marked as ended while it is held. */
void http_request_free(struct http_request *req);
void http_request_destroy(struct http_request *req);
/* The header that is read now: a new one when the last one is complete. NULL: out of memory. */
struct http_field *http_request_field(struct http_request *req);
struct slice http_span_slice(const struct http_request *req, struct http_span span);
/* Answers a request that never reached the handler, with an error, and ends the connection. */
void http_respond_refusal(struct http_request *req, int status);
/* Moves what may go to the connection's buffer and writes it. */
void http_conn_flush(struct http_conn *c);
void http_request_tell_gone(struct http_request *req);
