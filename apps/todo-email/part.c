#include "email/part.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/smtp.h"
#include "email/desktop.h"
#include "email/email.h"
#include "email/mail.h"
#include "email/maildir.h"
#include "shared/state_store.h"

enum {
    SMTP_URL,
    SMTP_USERNAME,
    SMTP_PASSWORD,
    SMTP_CA_FILE,
    SMTP_STARTTLS,
    SMTP_FROM,
    SMTP_CONNECTIONS,
    SMTP_TIMEOUT_MS,
    TASK_URL_TEMPLATE,
    MAILDIR,
    DESKTOP,
    ROWS
};

/* clang-format off: one setting a row */
static const struct config_setting rows[ROWS] = {
    [SMTP_URL] = {"SMTP_URL", CONFIG_SECRET, NULL, NULL, 0, 0, "",
                  "mail server: smtp://[user:password@]host:587 or smtps://host:465; without it "
                  "mails go to MAILDIR"},
    [SMTP_USERNAME] = {"SMTP_USERNAME", CONFIG_SECRET, NULL, NULL, 0, 0, "",
                       "login of the mail server, where SMTP_URL has none"},
    [SMTP_PASSWORD] = {"SMTP_PASSWORD", CONFIG_SECRET, NULL, NULL, 0, 0, "", "its password"},
    [SMTP_CA_FILE] = {"SMTP_CA_FILE", CONFIG_STRING, NULL, NULL, 0, 0, "",
                      "PEM file of the authorities that the mail server's certificate is checked "
                      "against; default: the system's"},
    [SMTP_STARTTLS] = {"SMTP_STARTTLS", CONFIG_ENUM, "auto", "auto|required|never", 0, 0, "",
                       "encryption of smtp://; auto: required, but for a loopback host"},
    [SMTP_FROM] = {"SMTP_FROM", CONFIG_STRING, "Todo <todo@localhost>", NULL, 0, 0, "",
                   "sender of the mails; its domain is that of their Message-ID and List-Id"},
    [SMTP_CONNECTIONS] = {"SMTP_CONNECTIONS", CONFIG_INT, "4", NULL, 1, 64, "",
                          "connections to the mail server, and so mails at a time"},
    [SMTP_TIMEOUT_MS] = {"SMTP_TIMEOUT_MS", CONFIG_INT, "20000", NULL, 100, 50000, "ms",
                         "longest time of one mail, from connecting to the server's answer"},
    [TASK_URL_TEMPLATE] = {"TASK_URL_TEMPLATE", CONFIG_STRING, NULL, NULL, 0, 0, "",
                           "link to a task in the mail: https://todo.example.org/tasks/{task_id}"},
    [MAILDIR] = {"MAILDIR", CONFIG_STRING, NULL, NULL, 0, 0, "",
                 "where mails go without SMTP_URL, a Maildir; default: DATA_DIR/mail"},
    [DESKTOP] = {"DESKTOP_NOTIFICATIONS", CONFIG_BOOL, "true", NULL, 0, 0, "",
                 "without SMTP_URL reminders are shown on the desktop as well, by notify-send"},
};
/* clang-format on */

struct mail_secrets {
    struct secret url, username, password;
};

struct part {
    const struct worker *w;
    struct mail_secrets secrets;
    struct mail_sender sender;
    struct maildir maildir;
    struct desktop desktop;
    bool has_desktop;          /* to be closed */
    struct state_store *state; /* each NULL before it is opened and once it is closed */
    struct smtp_client *smtp;
    struct email *email;
    worker_stopped_fn stopped;
    void *stopped_ctx;
};

/* ---- the end: the library, then what it uses ------------------------------------------------ */

static void stop_next(struct part *p);

static void on_email_closed(void *ctx)
{
    struct part *p = ctx;
    p->email = NULL;
    stop_next(p);
}

static void on_smtp_closed(void *ctx)
{
    struct part *p = ctx;
    p->smtp = NULL;
    stop_next(p);
}

static void on_desktop_closed(void *ctx)
{
    struct part *p = ctx;
    p->has_desktop = false;
    stop_next(p);
}

static void on_state_closed(void *ctx)
{
    struct part *p = ctx;
    p->state = NULL;
    stop_next(p);
}

static void stop_next(struct part *p)
{
    worker_stopped_fn stopped = p->stopped;
    void *ctx = p->stopped_ctx;
    if (p->email) {
        email_close(p->email, on_email_closed, p);
    } else if (p->smtp) {
        smtp_client_close(p->smtp, on_smtp_closed, p);
    } else if (p->has_desktop) {
        desktop_close(&p->desktop, on_desktop_closed, p);
    } else if (p->state) {
        state_close(p->state, on_state_closed, p);
    } else {
        mem_free(p);
        stopped(ctx);
    }
}

static void stop(void *ctx, worker_stopped_fn stopped, void *stopped_ctx)
{
    struct part *p = ctx;
    p->stopped = stopped;
    p->stopped_ctx = stopped_ctx;
    stop_next(p);
}

/* ---- the settings --------------------------------------------------------------------------- */

static int read_secrets(struct mail_secrets *m, const struct shared_settings *s,
                        const struct config_value *own, struct error *err)
{
    int status = secret_init(&m->url, "SMTP_URL", own[SMTP_URL].text, s->secrets_dir, err);
    if (!status)
        status = secret_init(&m->username, "SMTP_USERNAME", own[SMTP_USERNAME].text, s->secrets_dir,
                             err);
    if (!status)
        status = secret_init(&m->password, "SMTP_PASSWORD", own[SMTP_PASSWORD].text, s->secrets_dir,
                             err);
    return status;
}

/* An empty password of the environment counts as unset, so that secrets may be optional keys. */
static struct smtp_options smtp_options_of(const struct mail_secrets *m,
                                           const struct config_value *own)
{
    return (struct smtp_options){
        .url = &m->url,
        .username = &m->username,
        .password = &m->password,
        .ca_file = own[SMTP_CA_FILE].text,
        .starttls = (enum smtp_starttls)own[SMTP_STARTTLS].num,
        .connections_max = (uint32_t)own[SMTP_CONNECTIONS].num,
        .timeout_ms = (uint32_t)own[SMTP_TIMEOUT_MS].num,
    };
}

/* The module's words, by the name that an operator knows. */
static int blame(struct error *err, const char *setting)
{
    struct error why = *err;
    return error_set(err, why.code, setting, "%s: %s", setting, why.text);
}

static int check(const struct shared_settings *s, const struct config_value *own, struct error *err)
{
    struct mail_sender sender;
    struct mail_secrets secrets;
    if (read_secrets(&secrets, s, own, err))
        return BASE_EINVAL;
    const struct smtp_options options = smtp_options_of(&secrets, own);
    if (mail_sender_parse(own[SMTP_FROM].text, &sender, err))
        return blame(err, "SMTP_FROM");
    if (own[TASK_URL_TEMPLATE].text && mail_link_check(own[TASK_URL_TEMPLATE].text, err))
        return blame(err, "TASK_URL_TEMPLATE");
    if (secret_text(&secrets.url) && smtp_options_check(&options, err))
        return blame(err, "SMTP_URL");
    return 0;
}

/* ---- the start ------------------------------------------------------------------------------ */

static int open_state(struct part *p, struct error *err)
{
    const struct worker *w = p->w;
    int status = worker_open_state(w, &p->state);
    return status ? error_set(err, status, NULL, "out of memory") : 0;
}

static int open_maildir(struct part *p, struct error *err)
{
    char path[sizeof(p->maildir.path)];
    const struct worker *w = p->w;
    const char *own = w->own[MAILDIR].text;
    int len = own ? snprintf(path, sizeof(path), "%s", own)
                  : snprintf(path, sizeof(path), "%s/mail", w->settings->data_dir);
    if (len < 0 || (size_t)len >= sizeof(path) || (!own && !*w->settings->data_dir))
        return error_set(err, BASE_EINVAL, "MAILDIR", "set SMTP_URL or MAILDIR");
    int status = maildir_open(&p->maildir, w->loop, path, err);
    if (!status)
        log_info(w->log, "no SMTP_URL: mails go to a local mailbox", log_str("path", path));
    return status;
}

static int open_smtp(struct part *p, struct error *err)
{
    const struct smtp_options options = smtp_options_of(&p->secrets, p->w->own);
    secret_watch_add(p->w->secrets, &p->secrets.url);
    secret_watch_add(p->w->secrets, &p->secrets.username);
    secret_watch_add(p->w->secrets, &p->secrets.password);
    return smtp_client_new(p->w->loop, &options, &p->smtp, err) ? blame(err, "SMTP_URL") : 0;
}

static int open_way(struct part *p, struct error *err)
{
    const struct worker *w = p->w;
    int status = read_secrets(&p->secrets, w->settings, w->own, err);
    if (status)
        return status;
    if (secret_text(&p->secrets.url))
        return open_smtp(p, err);
    if (w->own[DESKTOP].flag) {
        desktop_init(&p->desktop, w->loop, w->log);
        p->has_desktop = true;
    }
    return open_maildir(p, err);
}

static int open_email(struct part *p, struct error *err)
{
    const struct worker *w = p->w;
    const struct email_options options = {
        .consumer = w->spec->app_id,
        .smtp = p->smtp,
        .maildir = &p->maildir,
        .desktop = p->has_desktop ? &p->desktop : NULL,
        .state = p->state,
        .sender = &p->sender,
        .link_template = w->own[TASK_URL_TEMPLATE].text,
        .metrics = w->metrics,
        .tracer = w->tracer,
        .slots = (uint32_t)w->own[SMTP_CONNECTIONS].num,
    };
    return email_new(w->loop, w->pool, w->log, &options, &p->email, err);
}

static int start(const struct worker *w, void **out, struct error *err)
{
    struct part *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    *out = p;
    p->w = w;
    signal(SIGPIPE, SIG_IGN);
    int status = mail_sender_parse(w->own[SMTP_FROM].text, &p->sender, err);
    if (!status)
        status = open_state(p, err);
    if (!status)
        status = open_way(p, err);
    if (!status)
        status = open_email(p, err);
    return status;
}

/* ---- what comes ----------------------------------------------------------------------------- */

static void handle(void *part, const struct consumer_event *event, struct consumer_turn *turn)
{
    struct part *p = part;
    email_handle(p->email, event, turn);
}

static const struct consumer_route routes[] = {
    {.kind = EVENT_REMINDER_SENT, .path = "/events/reminder-sent", .handler = handle},
};

const struct worker_spec email_spec = {
    .program = "todo-email",
    .app_id = "email-delivery-service",
    .about = "Sends a mail for each reminder: by SMTP, or into a local mailbox.",
    .port = "8003",
    .rows = rows,
    .row_count = ROWS,
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(*routes),
    .check = check,
    .start = start,
    .stop = stop,
};
