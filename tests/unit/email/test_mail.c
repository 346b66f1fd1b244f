/* What a mail is made of. That mail programs read it as it was meant: tests/integration/email. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include "base/buf.h"
#include "base/error.h"
#include "email/mail.h"

static struct mail_sender sender_of(const char *text)
{
    struct mail_sender from;
    assert_int_equal(mail_sender_parse(text, &from, NULL), 0);
    return from;
}

static struct mail_reminder reminder_of(const struct mail_sender *from)
{
    return (struct mail_reminder){
        .event_id = SLICE_LIT("019a0000-0000-7000-8000-00000000abcd"),
        .task_id = 7,
        .sent_us = INT64_C(1764590400123456),
        .title = SLICE_LIT("Call them"),
        .priority = SLICE_LIT("high"),
        .due = SLICE_LIT("Monday, 1 December 2025, 14:00"),
        .zone = SLICE_LIT("Europe/Berlin"),
        .to = SLICE_LIT("ann@example.org"),
        .link_template = "https://todo.example.com/{task_id}?x=1&y=2",
        .from = from,
    };
}

static const char *render(const struct mail_reminder *r, struct buf *out)
{
    buf_init(out, 1u << 20);
    assert_int_equal(mail_render(r, out), 0);
    return out->ptr;
}

/* ---- tests ---- */

static void a_mail_has_its_headers_and_both_bodies(void **state)
{
    struct mail_sender from = sender_of("Todo <todo@example.com>");
    struct mail_reminder r = reminder_of(&from);
    struct buf mail;
    const char *text = render(&r, &mail);
    static const char *const parts[] = {
        "Date: Mon, 01 Dec 2025 12:00:00 +0000\r\nFrom: \"Todo\" <todo@example.com>\r\n"
        "To: ann@example.org\r\nSubject: Reminder: Call them\r\n"
        "Message-ID: <019a0000-0000-7000-8000-00000000abcd@example.com>\r\n"
        "List-Id: Todo reminders <reminders.example.com>\r\nAuto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/alternative;",
        "\r\n\r\nCall them\r\n\r\nDue: Monday, 1 December 2025, 14:00 (Europe/Berlin)\r\n"
        "Priority: high\r\n\r\nhttps://todo.example.com/7?x=3D1&y=3D2\r\n",
        "<a href=3D\"https://todo.example.com/7?x=3D1&amp;y=3D2\">",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        if (!strstr(text, parts[i]))
            fail_msg("lacks:\n%s\n---\n%s", parts[i], text);
    }
    buf_deinit(&mail);
}

static void the_same_reminder_is_the_same_mail(void **state)
{
    struct mail_sender from = sender_of("todo@example.com");
    struct mail_reminder r = reminder_of(&from);
    struct buf one, two;
    (void)state;
    assert_string_equal(render(&r, &one), render(&r, &two));
    buf_deinit(&one);
    buf_deinit(&two);
}

static void what_is_not_there_is_left_out(void **state)
{
    struct mail_sender from = sender_of("todo@example.com");
    struct mail_reminder r = reminder_of(&from);
    struct buf mail;
    (void)state;
    r.due = SLICE_EMPTY;
    r.link_template = NULL;
    r.to = SLICE_EMPTY;
    const char *text = render(&r, &mail);
    assert_null(strstr(text, "Due"));
    assert_null(strstr(text, "https"));
    assert_non_null(strstr(text, "From: todo@example.com\r\nTo: undisclosed-recipients:;\r\n"));
    buf_deinit(&mail);
}

static void an_urgent_task_is_important(void **state)
{
    struct mail_sender from = sender_of("todo@example.com");
    struct mail_reminder r = reminder_of(&from);
    struct buf mail;
    (void)state;
    r.priority = SLICE_LIT("urgent");
    assert_non_null(strstr(render(&r, &mail), "Importance: high\r\n"));
    buf_deinit(&mail);
}

static void a_title_is_one_clean_line(void **state)
{
    static const struct {
        const char *title, *line;
    } cases[] = {
        {"a\r\nb\tc", "a  b c"},
        {"a\x7f\xc2\x85\xe2\x80\xa8z", "a   z"},
        {"bad \xff\xc3 utf-8", "bad ?? utf-8"},
        {"Gr\xc3\xbc\xc3\x9f", "Gr\xc3\xbc\xc3\x9f"},
    };
    char storage[1024];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buf out;
        buf_init_fixed(&out, storage, sizeof(storage));
        mail_append_title(&out, slice_from_cstr(cases[i].title));
        assert_string_equal(out.ptr, cases[i].line);
    }
    char lengthy[400];
    struct buf out;
    memset(lengthy, 'x', sizeof(lengthy));
    buf_init_fixed(&out, storage, sizeof(storage));
    mail_append_title(&out, (struct slice){lengthy, sizeof(lengthy)});
    assert_int_equal(out.len, MAIL_TITLE_MAX + 3);
    assert_string_equal(out.ptr + MAIL_TITLE_MAX, "\xe2\x80\xa6");
}

static void a_sender_is_an_address_with_or_without_a_name(void **state)
{
    struct mail_sender from = sender_of("\"To do\" <todo@example.com>");
    (void)state;
    assert_string_equal(from.name, "To do");
    assert_string_equal(from.address, "todo@example.com");
    assert_true(slice_is_equal(from.domain, SLICE_LIT("example.com")));
    from = sender_of("todo@localhost");
    assert_string_equal(from.name, "");
    static const char *const bad[] = {"",
                                      "nobody",
                                      "<todo@example.com",
                                      "a\r\nBcc: b <c@d>",
                                      "a\"b <c@d>",
                                      "\xc3\xbc <c@d>",
                                      "\xc3\xbc@d",
                                      "a <b@c>, <d@e>",
                                      "a <b@c> <d@e>"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct error err = {0};
        if (!mail_sender_parse(bad[i], &from, &err))
            fail_msg("was taken: %s", bad[i]);
        assert_true(err.text[0]);
    }
}

static void a_link_is_a_web_address_with_the_tasks_place(void **state)
{
    static const char *const bad[] = {"https://example.com/",   "javascript:alert({task_id})",
                                      "http://a/{task_id}\r\n", "http://a/\"{task_id}",
                                      "http://a/<{task_id}>",   "http://a/ {task_id}",
                                      "ftp://a/{task_id}"};
    (void)state;
    assert_int_equal(mail_link_check("HTTPS://example.com/{task_id}#x", NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct error err = {0};
        if (!mail_link_check(bad[i], &err))
            fail_msg("was taken: %s", bad[i]);
    }
}

static void running_out_of_memory_is_told(void **state)
{
    struct mem_loop loop = {0};
    struct mail_sender from = sender_of("todo@example.com");
    struct mail_reminder r = reminder_of(&from);
    (void)state;
    while (mem_loop_next(&loop)) {
        struct buf mail;
        buf_init(&mail, 1u << 20);
        mem_loop_expect(&loop, mail_render(&r, &mail), BASE_ENOMEM);
        buf_deinit(&mail);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mail_has_its_headers_and_both_bodies),
        cmocka_unit_test(the_same_reminder_is_the_same_mail),
        cmocka_unit_test(what_is_not_there_is_left_out),
        cmocka_unit_test(an_urgent_task_is_important),
        cmocka_unit_test(a_title_is_one_clean_line),
        cmocka_unit_test(a_sender_is_an_address_with_or_without_a_name),
        cmocka_unit_test(a_link_is_a_web_address_with_the_tasks_place),
        cmocka_unit_test(running_out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
