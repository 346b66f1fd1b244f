/* The SMTP client against a server on the same loop (smtp_server.h). Real servers, TLS and
 * certificates: tests/integration/email. */
#include "smtp_server.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "support/mem_loop.h"

static void a_mail_arrives_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    struct smtp_mail mail = plain;
    mail.text = SLICE_LIT("Subject: x\r\n\r\n.\r\n..a\r\nb.\r\n");
    const struct smtp_result *r = mail_it(f, &mail);
    assert_result(r, SMTP_SENT, SMTP_END, 250);
    assert_string_equal(r->text, "2.0.0 kept");
    assert_true(r->took_us > 0);
    assert_true(has_heard(f, "MAIL FROM:<todo@example.org>\nRCPT TO:<ann@example.org>\nDATA\n"));
    assert_string_equal(f->content.ptr, "Subject: x\n\n..\n...a\nb.\n");
}

static void mails_one_after_the_other_share_a_connection(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++)
        assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    assert_int_equal(f->accepted, 1);
    assert_int_equal(smtp_connections(f->client), 1);
    assert_int_equal(f->mails, 10);
}

static void mails_at_the_same_time_share_a_few_connections(void **state)
{
    struct fixture *f = *state;
    use(f, (struct smtp_options){.connections_max = 3});
    for (int i = 0; i < 32; i++)
        start(f, &plain, &f->answers[i]);
    for (int i = 0; i < 32; i++) {
        wait_for(f, &f->answers[i]);
        assert_int_equal(f->answers[i].result.outcome, SMTP_SENT);
    }
    assert_int_equal(f->accepted, 3);
    assert_int_equal(f->mails, 32);
}

static void a_large_mail_goes_in_parts(void **state)
{
    struct fixture *f = *state;
    struct buf text;
    struct smtp_mail mail = plain;
    buf_init(&text, 4u << 20);
    while (text.len < 3u << 20)
        buf_append_cstr(&text, ".0123456789012345678901234567890123456789012345678901234567\r\n");
    mail.text = buf_slice(&text);
    assert_result(mail_it(f, &mail), SMTP_SENT, SMTP_END, 250);
    assert_int_equal(f->content.len, text.len); /* a dot more, a CR less a line */
    buf_deinit(&text);
}

static void a_refusal_says_where_and_why(void **state)
{
    struct fixture *f = *state;
    const struct {
        struct script script;
        enum smtp_outcome outcome;
        enum smtp_phase phase;
        int code;
    } cases[] = {
        {{.mail = "550 no\r\n"}, SMTP_PERMANENT, SMTP_SENDER, 550},
        {{.mail = "451 no\r\n"}, SMTP_TEMPORARY, SMTP_SENDER, 451},
        {{.mail = "530 no\r\n"}, SMTP_TEMPORARY, SMTP_SENDER, 530},
        {{.rcpt = "550 no\r\n"}, SMTP_PERMANENT, SMTP_RECIPIENT, 550},
        {{.rcpt = "450 no\r\n"}, SMTP_TEMPORARY, SMTP_RECIPIENT, 450},
        {{.rcpt = "421 no\r\n"}, SMTP_TEMPORARY, SMTP_RECIPIENT, 421},
        {{.data = "554 no\r\n"}, SMTP_PERMANENT, SMTP_DATA, 554},
        {{.data = "451 no\r\n"}, SMTP_TEMPORARY, SMTP_DATA, 451},
        {{.data = "250 no\r\n"}, SMTP_TEMPORARY, SMTP_DATA, 250},
        {{.end = "554 no\r\n"}, SMTP_PERMANENT, SMTP_END, 554},
        {{.end = "451 no\r\n"}, SMTP_TEMPORARY, SMTP_END, 451},
        {{.end = "421 no\r\n"}, SMTP_TEMPORARY, SMTP_END, 421},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct script *s = &cases[i].script;
        f->script = willing;
        f->script.mail = s->mail ? s->mail : willing.mail;
        f->script.rcpt = s->rcpt ? s->rcpt : willing.rcpt;
        f->script.data = s->data ? s->data : willing.data;
        f->script.end = s->end ? s->end : willing.end;
        const struct smtp_result *r = mail_it(f, &plain);
        assert_result(r, cases[i].outcome, cases[i].phase, cases[i].code);
        assert_string_equal(r->text, "no");
        f->script = willing;
        assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    }
}

static void a_refused_mail_leaves_the_connection_to_the_next(void **state)
{
    struct fixture *f = *state;
    use(f, (struct smtp_options){.connections_max = 1});
    f->script.rcpt = "550 no\r\n";
    mail_it(f, &plain);
    f->script = willing;
    assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    assert_int_equal(f->accepted, 1);
    assert_true(has_heard(f, "RSET\nMAIL"));
}

static void the_words_of_all_lines_are_told_without_control_characters(void **state)
{
    struct fixture *f = *state;
    f->script.rcpt = "550-5.1.1 no\x1b[31m\r\n550-such\tuser\r\n550 \xff.\r\n";
    const struct smtp_result *r = mail_it(f, &plain);
    assert_string_equal(r->text, "5.1.1 no [31m such user ?.");
}

struct way {
    size_t offset; /* in struct script */
    enum smtp_phase phase;
    enum smtp_outcome outcome;
};
static const struct way ways[] = {
    {offsetof(struct script, greeting), SMTP_CONNECTING, SMTP_TEMPORARY},
    {offsetof(struct script, ehlo), SMTP_CONNECTING, SMTP_TEMPORARY},
    {offsetof(struct script, mail), SMTP_SENDER, SMTP_TEMPORARY},
    {offsetof(struct script, rcpt), SMTP_RECIPIENT, SMTP_TEMPORARY},
    {offsetof(struct script, data), SMTP_DATA, SMTP_TEMPORARY},
    {offsetof(struct script, end), SMTP_END, SMTP_UNKNOWN},
};

static void set_reply(struct fixture *f, const struct way *way, const char *reply)
{
    f->script = willing;
    *(const char **)(void *)((char *)&f->script + way->offset) = reply;
}

static void a_connection_that_is_dropped_says_whether_the_mail_may_have_arrived(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        use(f, (struct smtp_options){0});
        set_reply(f, &ways[i], DROP);
        assert_result(mail_it(f, &plain), ways[i].outcome, ways[i].phase, 0);
        f->script = willing;
        assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    }
}

static void a_server_that_falls_silent_is_given_up(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        use(f, (struct smtp_options){.timeout_ms = 100});
        set_reply(f, &ways[i], SILENCE);
        const struct smtp_result *r = mail_it(f, &plain);
        assert_result(r, ways[i].outcome, ways[i].phase, 0);
        assert_string_equal(r->text, "the server took too long");
    }
}

static void the_loop_goes_on_while_a_server_thinks(void **state)
{
    struct fixture *f = *state;
    use(f, (struct smtp_options){.connections_max = 2});
    f->script.end = SILENCE;
    start(f, &plain, &f->answers[0]);
    while (f->mails == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    f->script = willing;
    start(f, &plain, &f->answers[1]);
    wait_for(f, &f->answers[1]);
    assert_int_equal(f->answers[1].result.outcome, SMTP_SENT);
    assert_int_equal(f->answers[0].count, 0);
    say(f->peers->next, "250 at last\r\n"); /* the older one */
    wait_for(f, &f->answers[0]);
    assert_string_equal(f->answers[0].result.text, "at last");
}

static void a_mail_that_finds_no_free_connection_in_time_is_told(void **state)
{
    struct fixture *f = *state;
    use(f, (struct smtp_options){.connections_max = 1, .timeout_ms = 200});
    f->script.end = SILENCE;
    start(f, &plain, &f->answers[0]);
    start(f, &plain, &f->answers[1]);
    wait_for(f, &f->answers[0]);
    wait_for(f, &f->answers[1]);
    assert_result(&f->answers[0].result, SMTP_UNKNOWN, SMTP_END, 0);
    assert_result(&f->answers[1].result, SMTP_TEMPORARY, SMTP_WAITING, 0);
}

static void a_server_that_takes_nobody_is_no_fault_of_the_mail(void **state)
{
    struct fixture *f = *state;
    f->script.greeting = "554 nobody is served\r\n";
    const struct smtp_result *r = mail_it(f, &plain);
    assert_result(r, SMTP_TEMPORARY, SMTP_CONNECTING, 554);
    assert_string_equal(r->text, "nobody is served");
    f->script.greeting = "421 later\r\n";
    assert_result(mail_it(f, &plain), SMTP_TEMPORARY, SMTP_CONNECTING, 421);
    f->script.greeting = "HTTP/1.1 400 Bad Request\r\n";
    use(f, (struct smtp_options){.timeout_ms = 300});
    assert_result(mail_it(f, &plain), SMTP_TEMPORARY, SMTP_CONNECTING, 0);
}

static void a_server_that_stops_to_speak_smtp_is_left(void **state)
{
    struct fixture *f = *state;
    f->script.mail = "what?\r\n";
    const struct smtp_result *r = mail_it(f, &plain);
    assert_result(r, SMTP_TEMPORARY, SMTP_SENDER, 0);
    assert_string_equal(r->text, "the server does not speak SMTP");
    char line[5000];
    memset(line, 'x', sizeof(line));
    memcpy(line, "250-", 4);
    line[sizeof(line) - 1] = '\0';
    f->script.mail = line;
    r = mail_it(f, &plain);
    assert_result(r, SMTP_TEMPORARY, SMTP_SENDER, 0);
    assert_string_equal(r->text, "the server's reply has an endless line");
}

static void a_server_that_is_not_there_is_told(void **state)
{
    struct fixture *f = *state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    char url[64];
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(url, sizeof(url), "smtp://localhost:%d", ntohs(address.sin_port));
    use_login(f, url, NULL, NULL);
    use(f, (struct smtp_options){0});
    const struct smtp_result *r = mail_it(f, &plain);
    assert_result(r, SMTP_TEMPORARY, SMTP_CONNECTING, 0);
    assert_true(r->text[0]);
    close(fd);
}

static void a_kept_connection_that_was_closed_costs_no_mail(void **state)
{
    struct fixture *f = *state;
    f->closes_after_mail = true;
    for (int i = 0; i < 5; i++)
        assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    f->closes_after_mail = false;
    mail_it(f, &plain);
    int accepted = f->accepted;
    struct script busy = willing;
    busy.mail = "421 idle for too long\r\n";
    f->script = busy;
    start(f, &plain, &f->answers[0]);
    while (f->accepted == accepted)
        uv_run(&f->loop, UV_RUN_ONCE);
    f->script = willing;
    wait_for(f, &f->answers[0]);
    assert_result(&f->answers[0].result, SMTP_SENT, SMTP_END, 250);
}

static void a_server_that_says_421_to_everyone_is_told(void **state)
{
    struct fixture *f = *state;
    mail_it(f, &plain);
    f->script.mail = "421 full\r\n";
    assert_result(mail_it(f, &plain), SMTP_TEMPORARY, SMTP_SENDER, 421);
    assert_int_equal(f->accepted, 2);
}

static void close_idle(struct fixture *f)
{
    while (f->peers)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void an_idle_connection_is_closed_with_a_word(void **state)
{
    struct fixture *f = *state;
    use(f, (struct smtp_options){.idle_ms = 50});
    mail_it(f, &plain);
    close_idle(f);
    assert_true(has_heard(f, "DATA\nQUIT\n"));
    assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    assert_int_equal(f->accepted, 2);
}

static void without_the_encryption_that_is_required_nothing_is_sent(void **state)
{
    struct fixture *f = *state;
    use_login(f, NULL, "ann", "secret");
    use(f, (struct smtp_options){.starttls = SMTP_STARTTLS_REQUIRED});
    const struct smtp_result *r = mail_it(f, &plain);
    assert_result(r, SMTP_TEMPORARY, SMTP_CONNECTING, 0);
    assert_non_null(strstr(r->text, "STARTTLS"));
    assert_false(has_heard(f, "AUTH") || has_heard(f, "MAIL"));
}

static void the_login_is_the_urls_or_the_options(void **state)
{
    struct fixture *f = *state;
    char url[128];
    f->script.ehlo = "250-here\r\n250 AUTH PLAIN\r\n";
    snprintf(url, sizeof(url), "smtp://ann:p%%2Fw%%40x@%s", f->url + 7);
    use_login(f, url, NULL, NULL);
    use(f, (struct smtp_options){0});
    assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    assert_true(has_heard(f, "AGFubgBwL3dAeA==")); /* \0ann\0p/w@x */
    use_login(f, url, "bob", "b");
    use(f, (struct smtp_options){0});
    assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    assert_true(has_heard(f, "AGJvYgBi")); /* \0bob\0b */
}

static void a_new_login_is_used_by_the_next_connection(void **state)
{
    struct fixture *f = *state;
    f->script.ehlo = "250-here\r\n250 AUTH PLAIN\r\n";
    use_login(f, NULL, "bob", "a");
    use(f, (struct smtp_options){.idle_ms = 50});
    assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    use_login(f, NULL, "bob", "b");
    assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    assert_false(has_heard(f, "AGJvYgBi")); /* what is connected stays so */
    use_login(f, "no URL", "bob", "c");     /* of no use: the last good one holds */
    close_idle(f);
    assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    assert_true(has_heard(f, "AGJvYgBh"));
    use_login(f, NULL, "bob", "b");
    close_idle(f);
    assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    assert_true(has_heard(f, "AGJvYgBi"));
    assert_int_equal(f->accepted, 3);
}

static void a_login_that_fails_is_no_fault_of_the_mail(void **state)
{
    struct fixture *f = *state;
    f->script.ehlo = "250-here\r\n250 AUTH PLAIN\r\n";
    f->script.auth = "535 5.7.8 wrong\r\n";
    use_login(f, NULL, "ann", "secret");
    use(f, (struct smtp_options){0});
    const struct smtp_result *r = mail_it(f, &plain);
    assert_result(r, SMTP_TEMPORARY, SMTP_CONNECTING, 535);
    assert_string_equal(r->text, "5.7.8 wrong");
    f->script.ehlo = "250-here\r\n250 AUTH OTHER\r\n";
    r = mail_it(f, &plain);
    assert_int_equal(r->outcome, SMTP_TEMPORARY);
    assert_null(strstr(r->text, "secret"));
}

static void an_address_beyond_ascii_needs_a_server_that_takes_it(void **state)
{
    struct fixture *f = *state;
    struct smtp_mail mail = plain;
    mail.to = SLICE_LIT("j\xc3\xbcrgen@example.org");
    assert_result(mail_it(f, &mail), SMTP_SENT, SMTP_END, 250);
    assert_true(has_heard(f, "MAIL FROM:<todo@example.org> SMTPUTF8\n"));
    assert_true(has_heard(f, "RCPT TO:<j\xc3\xbcrgen@example.org>\n"));
    use(f, (struct smtp_options){0});
    f->script.ehlo = "250 here\r\n";
    assert_result(mail_it(f, &mail), SMTP_PERMANENT, SMTP_SENDER, 0);
    assert_result(mail_it(f, &plain), SMTP_SENT, SMTP_END, 250);
    assert_int_equal(f->accepted, 2);
}

static void an_address_is_one_that_can_be_sent_to(void **state)
{
    (void)state;
    static const char *const good[] = {"a@b",           "ann.b+c@example.org",  "j\xc3\xbc@ex.org",
                                       "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]", "x_y@h\xc3\xb6.de"};
    static const char *const bad[] = {
        "",          "a",      "a@",   "@b",      "a b@c", "a@b c",     "a\r\n@b",
        "a@b\r\nX:", "<a@b>",  "a@b>", "a@b,c@d", "a@b@c", "\"a b\"@c", ".a@b",
        "a.@b",      "a..b@c", "a@b.", "a@.b",    "a@b_c", "a(x)@b",    "a;b@c",
        "a\xff@b",   "a@[1",   "a@[]", "a@[x]",   "a\t@b", "a@b\x7f"};
    char text[300];
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(smtp_is_address(slice_from_cstr(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (smtp_is_address(slice_from_cstr(bad[i])))
            fail_msg("was taken: %s", bad[i]);
    }
    assert_false(smtp_is_address((struct slice){"a\0b@c", 5}));
    memset(text, 'a', sizeof(text));
    text[64] = '@';
    assert_true(smtp_is_address((struct slice){text, 254}));
    assert_false(smtp_is_address((struct slice){text, 255}));
    assert_false(smtp_is_address((struct slice){text - 0, 64}));
    memmove(text + 1, text, 254);
    assert_false(smtp_is_address((struct slice){text, 254}));
}

static void refuses(struct fixture *f, struct slice text)
{
    struct smtp_mail mail = plain;
    struct error err = {0};
    mail.text = text;
    assert_int_equal(smtp_send(f->client, &mail, on_sent, &f->answers[0], &err), BASE_EINVAL);
    assert_string_equal(err.field, "text");
}

static void a_text_that_could_end_early_is_refused(void **state)
{
    struct fixture *f = *state;
    char line[1001];
    struct smtp_mail mail = plain;
    refuses(f, SLICE_EMPTY);
    refuses(f, SLICE_LIT("a"));
    refuses(f, SLICE_LIT("a\n.\nb\r\n"));
    refuses(f, SLICE_LIT("a\r.\r\n"));
    refuses(f, SLICE_LIT("a\r"));
    refuses(f, SLICE_LIT("a\0\r\n"));
    refuses(f, SLICE_LIT("\xc3\xbc\r\n"));
    memset(line, 'x', sizeof(line));
    memcpy(line + 999, "\r\n", 2);
    refuses(f, (struct slice){line, 1001});
    memcpy(line + 998, "\r\n", 2);
    mail.text = (struct slice){line, 1000};
    assert_result(mail_it(f, &mail), SMTP_SENT, SMTP_END, 250);
    mail.to = SLICE_LIT("a@b\r\nDATA");
    assert_int_equal(smtp_send(f->client, &mail, on_sent, &f->answers[0], NULL), BASE_EINVAL);
}

static void a_url_that_is_none_is_refused_without_a_word_of_it(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {
        "http://h",       "smtp://", "h:25", "smtp://u:sec/ret@h:25", "smtp://u:25/sec@ret",
        "smtps://h:99999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct error err = {0};
        struct smtp_client *none;
        const struct smtp_options options = {.url = SECRET_FIXED(bad[i])};
        assert_int_equal(smtp_client_new(&f->loop, &options, &none, &err), BASE_EINVAL);
        assert_string_equal(err.field, "url");
        assert_null(strstr(err.text, "sec"));
    }
}

static void host_and_port_are_the_urls_or_the_schemes(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *url, *host;
        int64_t port;
    } rows[] = {{"smtp://mail.example:2525", "mail.example", 2525},
                {"smtp://mail.example", "mail.example", 25},
                {"smtps://mail.example", "mail.example", 465},
                {"smtp://u:p@mail.example/", "mail.example", 25}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        use_login(f, rows[i].url, NULL, NULL);
        use(f, (struct smtp_options){0});
        assert_string_equal(smtp_host(f->client), rows[i].host);
        assert_int_equal(smtp_port(f->client), rows[i].port);
    }
}

static void mails_past_the_limit_are_refused(void **state)
{
    struct fixture *f = *state;
    use(f, (struct smtp_options){.queue_max = 2});
    start(f, &plain, &f->answers[0]);
    start(f, &plain, &f->answers[1]);
    assert_int_equal(smtp_send(f->client, &plain, on_sent, &f->answers[2], NULL), BASE_ELIMIT);
    wait_for(f, &f->answers[0]);
    wait_for(f, &f->answers[1]);
    assert_int_equal(mail_it(f, &plain)->outcome, SMTP_SENT);
}

static void closing_ends_what_is_in_hand(void **state)
{
    struct fixture *f = *state;
    use(f, (struct smtp_options){.connections_max = 1});
    f->script.end = SILENCE;
    start(f, &plain, &f->answers[0]);
    start(f, &plain, &f->answers[1]);
    while (f->mails == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    smtp_client_close(f->client, on_client_closed, f);
    assert_int_equal(f->answers[0].count + f->answers[1].count, 0);
    assert_int_equal(smtp_send(f->client, &plain, on_sent, &f->answers[2], NULL), BASE_ECLOSED);
    while (f->client)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_result(&f->answers[0].result, SMTP_UNKNOWN, SMTP_END, 0);
    assert_result(&f->answers[1].result, SMTP_TEMPORARY, SMTP_WAITING, 0);
}

static void closing_ends_a_connection_that_is_being_made(void **state)
{
    struct fixture *f = *state;
    f->script.greeting = SILENCE;
    start(f, &plain, &f->answers[0]);
    while (f->accepted == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    close_client(f);
    assert_result(&f->answers[0].result, SMTP_TEMPORARY, SMTP_CONNECTING, 0);
}

static void running_out_of_memory_costs_no_more_than_a_try(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct answer *a = &f->answers[0];
        struct smtp_client *client = NULL;
        const struct smtp_options options = {
            .url = SECRET_FIXED(f->url), .timeout_ms = 200, .username = SECRET_FIXED("a")};
        *a = (struct answer){0};
        int status = smtp_client_new(&f->loop, &options, &client, NULL);
        if (!status)
            status = smtp_send(client, &plain, on_sent, a, NULL);
        if (!status)
            wait_for(f, a);
        bool has_failed = mem_loop_has_failed(&loop);
        assert_true(status == 0 || (has_failed && status == BASE_ENOMEM));
        assert_true(a->result.outcome == SMTP_SENT || has_failed);
        assert_int_not_equal(a->result.outcome, SMTP_PERMANENT);
        if (!client)
            continue;
        smtp_client_close(client, on_client_closed, f);
        struct smtp_client *own = f->client;
        while (f->client)
            uv_run(&f->loop, UV_RUN_ONCE);
        f->client = own;
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        smtp_test(a_mail_arrives_as_it_was_written),
        smtp_test(mails_one_after_the_other_share_a_connection),
        smtp_test(mails_at_the_same_time_share_a_few_connections),
        smtp_test(a_large_mail_goes_in_parts),
        smtp_test(a_refusal_says_where_and_why),
        smtp_test(a_refused_mail_leaves_the_connection_to_the_next),
        smtp_test(the_words_of_all_lines_are_told_without_control_characters),
        smtp_test(a_connection_that_is_dropped_says_whether_the_mail_may_have_arrived),
        smtp_test(a_server_that_falls_silent_is_given_up),
        smtp_test(the_loop_goes_on_while_a_server_thinks),
        smtp_test(a_mail_that_finds_no_free_connection_in_time_is_told),
        smtp_test(a_server_that_takes_nobody_is_no_fault_of_the_mail),
        smtp_test(a_server_that_stops_to_speak_smtp_is_left),
        smtp_test(a_server_that_is_not_there_is_told),
        smtp_test(a_kept_connection_that_was_closed_costs_no_mail),
        smtp_test(a_server_that_says_421_to_everyone_is_told),
        smtp_test(an_idle_connection_is_closed_with_a_word),
        smtp_test(without_the_encryption_that_is_required_nothing_is_sent),
        smtp_test(the_login_is_the_urls_or_the_options),
        smtp_test(a_new_login_is_used_by_the_next_connection),
        smtp_test(a_login_that_fails_is_no_fault_of_the_mail),
        smtp_test(an_address_beyond_ascii_needs_a_server_that_takes_it),
        smtp_test(an_address_is_one_that_can_be_sent_to),
        smtp_test(a_text_that_could_end_early_is_refused),
        smtp_test(a_url_that_is_none_is_refused_without_a_word_of_it),
        smtp_test(host_and_port_are_the_urls_or_the_schemes),
        smtp_test(mails_past_the_limit_are_refused),
        smtp_test(closing_ends_what_is_in_hand),
        smtp_test(closing_ends_a_connection_that_is_being_made),
        smtp_test(running_out_of_memory_costs_no_more_than_a_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
