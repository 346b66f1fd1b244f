#include "events/kafka_int.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "events/kafka_config.h"

#define EVENTS_A_TURN  128   /* of the loop */
#define REFUSED_MS     30000 /* between two lines about it: it is tried again each second */
#define SYSLOG_WARNING 4

static const uint64_t one = 1; /* what an eventfd is woken with */

/* ---- configuration ---- */

/* librdkafka repeats the value in its message, so the message of a secret is not shown. */
static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
    char why[200];
    if (!value || rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return 0;
    if (strstr(name, "password"))
        return error_set(err, BASE_EINVAL, name, "librdkafka does not take this %s", name);
    return error_set(err, BASE_EINVAL, name, "%s", why);
}

static int set_all(rd_kafka_conf_t *conf, const struct kafka_property *list, size_t count,
                   struct error *err)
{
    int status = 0;
    for (size_t i = 0; i < count && !status; i++)
        status = set(conf, list[i].name, list[i].value, err);
    return status;
}

int kafka_conf_new(const struct kafka_config *c, const struct kafka_property *own, size_t count,
                   rd_kafka_conf_t **out, struct error *err)
{
    const struct kafka_property common[] = {
        {"bootstrap.servers", c->brokers},
        {"security.protocol", kafka_config_protocol(c)},
        {"sasl.mechanism", c->sasl_mechanism},
        {"sasl.username", secret_text(c->sasl_username)},
        {"sasl.password", secret_text(c->sasl_password)},
        {"ssl.ca.location", c->ca_file},
        {"ssl.endpoint.identification.algorithm", "https"},
        {"log_level", "6"},
        {"log.queue", "true"},
        {"log.connection.close", "false"}, /* brokers end idle connections, which is no news */
        {"socket.keepalive.enable", "true"},
        {"socket.nagle.disable", "true"},
        /* A broker that comes back is to be found within a second. */
        {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "1000"},
        /* So is a topic that is made later. */
        {"topic.metadata.refresh.interval.ms", "10000"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int status = set_all(conf, common, sizeof(common) / sizeof(*common), err);
    if (!status)
        status = set_all(conf, own, count, err);
    if (status) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    *out = conf;
    return 0;
}

/* ---- what it says ---- */

static void note_trouble(struct kafka_client *c, const char *text)
{
    size_t len = strnlen(text, sizeof(c->trouble) - 1);
    memcpy(c->trouble, text, len);
    c->trouble[len] = '\0';
}

/* By syslog's levels. That a broker cannot be reached is said with LOG_ERR, and it goes on by
 * itself. librdkafka holds identical complaints about a broker back for 30 s. */
static void take_log(struct kafka_client *c, rd_kafka_event_t *event)
{
    const char *facility = NULL;
    const char *text = NULL;
    int level = SYSLOG_WARNING;
    if (rd_kafka_event_log(event, &facility, &text, &level))
        return;
    if (level <= SYSLOG_WARNING)
        log_warn(c->log, "the Kafka client complains", log_str("code", facility),
                 log_str("reason", text));
    else
        log_debug(c->log, "the Kafka client says", log_str("code", facility),
                  log_str("reason", text));
}

/* Somebody must act: the user, the password or the certificate is wrong. */
static void tell_refusal(struct kafka_client *c, rd_kafka_resp_err_t code)
{
    uint64_t now = uv_now(c->loop);
    c->refused_count++;
    if (c->refused_ms && now - c->refused_ms < REFUSED_MS)
        return;
    log_error(c->log, "Kafka refuses us", log_str("code", rd_kafka_err2name(code)),
              log_int("count", c->refused_count), log_str("reason", c->trouble));
    c->refused_ms = now;
    c->refused_count = 0;
}

/* Troubles with brokers, which librdkafka has logged too; it goes on trying. */
static void take_error(struct kafka_client *c, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const char *text = rd_kafka_event_error_string(event);
    note_trouble(c, text ? text : rd_kafka_err2str(code));
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL)
        tell_refusal(c, code);
    else
        log_debug(c->log, "trouble with Kafka", log_str("code", rd_kafka_err2name(code)),
                  log_str("reason", c->trouble));
}

static void take(struct kafka_client *c, rd_kafka_event_t *event)
{
    rd_kafka_event_type_t type = rd_kafka_event_type(event);
    if (type == RD_KAFKA_EVENT_ERROR)
        take_error(c, event);
    if (type == RD_KAFKA_EVENT_LOG) {
        take_log(c, event);
        rd_kafka_event_destroy(event);
    } else {
        c->options.on_event(c->options.ctx, event);
    }
}

/* ---- the login ---- */

static uint32_t login_version(const struct kafka_config *config)
{
    return secret_version(config->sasl_username) + secret_version(config->sasl_password);
}

/* What is connected stays so; the next connection is made with what is set here. A login that is
 * refused, or a connection that breaks, is an event: so it comes before the next try. */
static void follow_login(struct kafka_client *c)
{
    const struct kafka_config *config = c->options.config;
    uint32_t version = login_version(config);
    if (version == c->login_version)
        return;
    c->login_version = version;
    rd_kafka_error_t *error = rd_kafka_sasl_set_credentials(
        c->rk, secret_text(config->sasl_username), secret_text(config->sasl_password));
    if (error)
        log_warn(c->log, "the Kafka client does not take the new login",
                 log_str("reason", rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
}

/* ---- the loop ---- */

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct kafka_client *c = handle->data;
    uint64_t count;
    (void)status;
    (void)events;
    ssize_t got = read(c->fd, &count, sizeof(count)); /* it does not block; EAGAIN is no matter */
    (void)got;
    c->is_woken = false;
    if (!c->is_ending)
        follow_login(c);
    for (int i = 0; i < EVENTS_A_TURN && !c->is_ending; i++) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(c->queue, 0);
        if (!event)
            break;
        take(c, event);
        if (i == EVENTS_A_TURN - 1)
            kafka_client_wake(c);
    }
    if (!c->is_ending && c->options.on_served)
        c->options.on_served(c->options.ctx);
}

void kafka_client_wake(struct kafka_client *c)
{
    if (c->is_woken)
        return;
    ssize_t put = write(c->fd, &one, sizeof(one)); /* fails only where it is full of wakes */
    (void)put;
    c->is_woken = true;
}

void kafka_client_watch(struct kafka_client *c, rd_kafka_queue_t *queue)
{
    rd_kafka_queue_io_event_enable(queue, c->fd, &one, sizeof(one));
}

void kafka_client_use_queue(struct kafka_client *c, rd_kafka_queue_t *take_queue)
{
    if (c->queue)
        rd_kafka_queue_destroy(c->queue);
    c->queue = take_queue;
    kafka_client_watch(c, take_queue);
    kafka_client_wake(c);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    struct kafka_client *c = handle->data;
    kafka_client_ended_fn ended = c->ended;
    void *ctx = c->ended_ctx;
    close(c->fd);
    mem_free(c);
    if (ended)
        ended(ctx);
}

/* Logs wait in a queue of their own until they are sent to the main one, and a consumer's main
 * queue ends in its own. */
static void join_queues(struct kafka_client *c)
{
    if (c->options.type == RD_KAFKA_CONSUMER) {
        rd_kafka_poll_set_consumer(c->rk);
        kafka_client_use_queue(c, rd_kafka_queue_get_consumer(c->rk));
    } else {
        kafka_client_use_queue(c, rd_kafka_queue_get_main(c->rk));
    }
    rd_kafka_set_log_queue(c->rk, NULL);
    uv_poll_start(&c->poll, UV_READABLE, on_poll);
}

/* Takes the configuration over. */
static int open_rk(struct kafka_client *c, rd_kafka_conf_t *take_conf, struct error *err)
{
    char why[200];
    rd_kafka_conf_set_events(take_conf,
                             RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_ERROR |
                                 (c->options.type == RD_KAFKA_PRODUCER
                                      ? RD_KAFKA_EVENT_DR
                                      : RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT));
    c->rk = rd_kafka_new(c->options.type, take_conf, why, sizeof(why));
    if (c->rk)
        return 0;
    rd_kafka_conf_destroy(take_conf);
    return error_set(err, BASE_EINVAL, NULL, "Kafka's client cannot start: %s", why);
}

static int open_poll(struct kafka_client *c, struct error *err)
{
    int status = uv_poll_init(c->loop, &c->poll, c->fd);
    if (status) {
        rd_kafka_destroy(c->rk);
        return error_set(err, status, NULL, "Kafka's client: %s", uv_strerror(status));
    }
    c->poll.data = c;
    join_queues(c);
    return 0;
}

int kafka_client_new(uv_loop_t *loop, const struct kafka_client_options *options,
                     rd_kafka_conf_t *take_conf, const struct log *log, struct kafka_client **out,
                     struct error *err)
{
    struct kafka_client *c = mem_calloc(1, sizeof(*c));
    int fd = c ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (fd < 0) {
        rd_kafka_conf_destroy(take_conf);
        mem_free(c);
        return error_set(err, BASE_ENOMEM, NULL, "no memory or descriptor for Kafka's client");
    }
    *c = (struct kafka_client){.loop = loop,
                               .log = log,
                               .options = *options,
                               .fd = fd,
                               .login_version = login_version(options->config)};
    int status = open_rk(c, take_conf, err);
    if (!status)
        status = open_poll(c, err);
    if (status) {
        close(fd);
        mem_free(c);
        return status;
    }
    *out = c;
    return 0;
}

static void destroy(uv_work_t *work)
{
    struct kafka_client *c = work->data;
    rd_kafka_destroy_flags(c->rk, c->destroy_flags);
}

static void on_destroyed(uv_work_t *work, int status)
{
    struct kafka_client *c = work->data;
    (void)status;
    uv_close((uv_handle_t *)&c->poll, on_closed);
}

/* librdkafka's threads may write to the descriptor until they are gone. */
void kafka_client_end(struct kafka_client *c, int flags, kafka_client_ended_fn ended, void *ctx)
{
    c->is_ending = true;
    c->ended = ended;
    c->ended_ctx = ctx;
    c->destroy_flags = flags;
    uv_poll_stop(&c->poll);
    rd_kafka_queue_io_event_enable(c->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(c->queue);
    c->queue = NULL;
    c->work.data = c;
    uv_queue_work(c->loop, &c->work, destroy, on_destroyed);
}
