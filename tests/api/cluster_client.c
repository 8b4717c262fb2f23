#include "tests/api/cluster_client.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

struct cluster_client client;

void client_open(void)
{
    neighbours_open();
    client.http.descriptor = -1;
    http_open(&client.http, neighbours_port());
}

void client_close(void)
{
    http_close(&client.http);
    http_answer_free(&client.answer);
    neighbours_close();
}

unsigned ask(const char *what, const char *key, const char *headers,
             const char *body)
{
    struct view bytes = {NULL, 0};
    char line[256];

    snprintf(line, sizeof(line), what, key);
    if (body != NULL)
        bytes = view_of(body);
    cr_assert(http_ask(&client.http, line, headers, bytes, &client.answer),
              "%s", line);
    return client.answer.status;
}

unsigned put(const char *key, const char *value)
{
    return ask("PUT /kv/%s", key, "", value);
}

unsigned get(const char *key)
{
    return ask("GET /kv/%s", key, "", NULL);
}

bool body_is(const char *text)
{
    return view_is(blob_view(&client.answer.body), text);
}

bool body_has(const char *part)
{
    return memmem(client.answer.body.data, client.answer.body.size, part,
                  strlen(part)) != NULL;
}

const char *body_text(void)
{
    struct blob *body = &client.answer.body;

    if (body->size == 0 || body->data[body->size - 1] != '\0')
        blob_append_byte(body, '\0');
    return body->data;
}

bool header_is(const char *name, const char *value)
{
    return view_is(http_header(&client.answer, name), value);
}

const char *version_as(const char *name)
{
    static char line[96];
    struct view version = http_header(&client.answer, "Kist-Version");

    cr_assert(eq(sz, version.size, 32));
    snprintf(line, sizeof(line), "%s: %.*s\r\n", name, (int)version.size,
             version.data);
    return line;
}

void expect_problem(const char *what, const char *key, const char *headers,
                    const char *body, unsigned status, const char *slug)
{
    cr_assert(eq(uint, ask(what, key, headers, body), status), "%s: %.*s", what,
              (int)client.answer.body.size, client.answer.body.data);
    cr_assert(body_has(slug), "%s: %.*s", what, (int)client.answer.body.size,
              client.answer.body.data);
}
