/*
 * Heads as libmicrohttpd leaves them: lines end in NUL bytes, and so do names
 * at their colon. lay_out() does to a text what its parser does.
 */
#include "api/head.h"

#include "api/request_id.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <string.h>

static struct {
    char bytes[2 * HEAD_SIZE_MAX];
    struct blob joined;
    struct head head;
} laid;

static char *cut_line(char **at)
{
    char *line = *at;
    char *end = strchr(line, '\n');

    cr_assert(end != NULL);
    *at = end + 1;
    *end = '\0';
    if (end > line && end[-1] == '\r')
        end[-1] = '\0';
    return line;
}

static enum head_fault read_head(const char *text)
{
    char *at = laid.bytes;
    char *method, *target, *version, *line;

    cr_assert(lt(sz, strlen(text), sizeof(laid.bytes)));
    strcpy(laid.bytes, text);
    method = cut_line(&at);
    target = strchr(method, ' ') + 1;
    version = strrchr(method, ' ') + 1;
    target[-1] = '\0';
    version[-1] = '\0';
    blob_free(&laid.joined);
    head_begin(&laid.head, method, view_of(target), version, &laid.joined);
    for (line = cut_line(&at); *line != '\0'; line = cut_line(&at)) {
        char *colon = strchr(line, ':');
        char *value = colon + 1 + strspn(colon + 1, " \t");

        *colon = '\0';
        head_field(&laid.head, view_of(line), view_of(value));
    }
    return head_end(&laid.head, (size_t)(at - laid.bytes));
}

#define LINE "PUT /kv/a HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

Test(head, a_good_head_is_read)
{
    cr_assert(read_head(LINE HOST "content-length: 12\r\nX-Any:\r\n"
                                  "If-Match: \t \"1\" \t\r\n"
                                  "EXPECT: 100-Continue\r\n\r\n") == HEAD_FINE);
    cr_assert(eq(u64, laid.head.length, 12));
    cr_assert(not(laid.head.chunked));
    cr_assert(laid.head.expects_continue);
    cr_assert(view_is(laid.head.headers[HEADER_IF_MATCH], "\"1\""));
    cr_assert(laid.head.headers[HEADER_ACCEPT].data == NULL);

    cr_assert(read_head(LINE HOST "Transfer-Encoding: Chunked\r\n\r\n") ==
              HEAD_FINE);
    cr_assert(laid.head.chunked);
    cr_assert(read_head("GET / HTTP/1.0\r\n\r\n") == HEAD_FINE);
}

Test(head, each_departure_has_its_fault)
{
    static const struct {
        const char *text;
        enum head_fault fault;
    } heads[] = {
        {LINE "\r\n", HEAD_HOST},
        {LINE HOST HOST "\r\n", HEAD_HOST},
        {LINE "Host: a b\r\n\r\n", HEAD_HOST},
        {LINE "Host: a, b\r\n\r\n", HEAD_HOST},
        {LINE HOST "X : 1\r\n\r\n", HEAD_NAME},
        {LINE HOST ": 1\r\n\r\n", HEAD_NAME},
        {LINE HOST "X\x01: 1\r\n\r\n", HEAD_NAME},
        {LINE HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
         HEAD_LENGTH},
        {LINE HOST "Content-Length: +1\r\n\r\n", HEAD_LENGTH},
        {LINE HOST "Content-Length:\r\n\r\n", HEAD_LENGTH},
        {LINE HOST "Content-Length: 18446744073709551616\r\n\r\n", HEAD_LENGTH},
        {LINE HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         HEAD_LENGTH_AND_CODING},
        {LINE HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", HEAD_CODING},
        {LINE HOST "Transfer-Encoding: chunked \r\n\r\n", HEAD_CODING},
        {LINE HOST "Transfer-Encoding: chunked\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n",
         HEAD_CODING},
        {"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
         HEAD_CODING_TOO_OLD},
        {LINE HOST "Range: \x80\r\n\r\n", HEAD_VALUE},
        {LINE HOST "Prefer: a\x01\r\n\r\n", HEAD_VALUE},
        {LINE HOST "Range: a\r\nrange: b\r\n\r\n", HEAD_TWICE},
        {LINE HOST "Prefer: a\r\nPrefer: \x01\r\n\r\n", HEAD_VALUE},
        {LINE HOST "X: a\rb\r\n\r\n", HEAD_LINE},
        {LINE "Host: a\n\r\n", HEAD_LINE},
        {LINE HOST "\n", HEAD_LINE},
        {"PUT /kv/a HTTP/1.1\nHost: a\r\n\r\n", HEAD_LINE},
        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", HEAD_VERSION},
    };

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        enum head_fault fault = read_head(heads[i].text);

        cr_expect(fault == heads[i].fault, "%zu: %d", i, (int)fault);
        cr_expect(head_fault_detail(fault)[0] != '\0');
        cr_expect(problem_row(head_fault_problem(fault))->code >= 400);
    }
}

static bool is_header(enum request_header header, const char *text)
{
    return view_is(laid.head.headers[header], text);
}

Test(head, a_list_in_several_lines_is_one)
{
    cr_assert(read_head(LINE HOST "Prefer: a\r\nAccept: x/y\r\n"
                                  "If-Match:  \"1\" \r\nprefer: b\r\n"
                                  "Prefer: c\r\nACCEPT: z/*\r\n"
                                  "Prefer:\r\nPrefer: d\r\n\r\n") == HEAD_FINE);
    cr_expect(is_header(HEADER_PREFER, "a, b, c, , d"));
    cr_expect(is_header(HEADER_ACCEPT, "x/y, z/*"));
    cr_expect(is_header(HEADER_IF_MATCH, "\"1\""));
}

/* Two lists that grow in turn are copied each time. */
Test(head, joining_has_an_end)
{
    char text[2 * HEAD_SIZE_MAX] = LINE HOST;

    for (int i = 0; i < 500; i++)
        strcat(text, "Accept: a\r\nPrefer: b\r\n");
    strcat(text, "\r\n");
    cr_assert(read_head(text) == HEAD_SIZE);
}

Test(head, a_name_that_was_moved_by_folding_is_noticed)
{
    static const char bytes[] = "GET\0/\0HTTP/1.1\0\0Hos\0 a\0\0 t\0\0\0\0Host";
    const char *start = bytes;
    struct head head;

    head_begin(&head, start, (struct view){start + 4, 1}, start + 6,
               &laid.joined);
    head_field(&head, (struct view){bytes + sizeof(bytes) - 5, 4},
               (struct view){bytes + 21, 1});
    cr_assert(head_end(&head, 30) == HEAD_LINE);
}

Test(head, a_value_that_was_cut_by_a_nul_is_noticed)
{
    static const char bytes[] = "GET\0/\0HTTP/1.1\0\0Host\0 a\0b\0\0\0\0";
    struct head head;

    head_begin(&head, bytes, (struct view){bytes + 4, 1}, bytes + 6,
               &laid.joined);
    head_field(&head, (struct view){bytes + 16, 4},
               (struct view){bytes + 22, 1});
    cr_assert(head_end(&head, sizeof(bytes) - 1) == HEAD_LINE);
}

Test(head, methods_are_known_foreign_or_neither)
{
    cr_assert(head_method(VIEW_LITERAL("PATCH")) == METHOD_PATCH);
    cr_assert(head_method(VIEW_LITERAL("patch")) == METHOD_COUNT);
    cr_assert(head_method(VIEW_LITERAL("GETS")) == METHOD_COUNT);
    cr_assert(head_method_is_foreign(VIEW_LITERAL("TRACE")));
    cr_assert(not(head_method_is_foreign(VIEW_LITERAL("BREW"))));
}

Test(request_id, given_ones_have_1_to_64_harmless_bytes)
{
    static const char sixty_five[] = "0123456789012345678901234567890123456789"
                                     "0123456789012345678901234";

    cr_assert(request_id_is_good(VIEW_LITERAL("a.B_9-")));
    cr_assert(not(request_id_is_good(VIEW_LITERAL(""))));
    cr_assert(not(request_id_is_good(VIEW_LITERAL("a b"))));
    cr_assert(not(request_id_is_good(VIEW_LITERAL("\"}"))));
    cr_assert(not(request_id_is_good(view_of(sixty_five))));
    cr_assert(request_id_is_good((struct view){sixty_five, 64}));
}
