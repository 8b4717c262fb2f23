#include "api/json_page.h"

#include "api/reply.h"

#include <inttypes.h>
#include <stdio.h>

void json_page_reply(struct request *request, unsigned code, json_t *document)
{
    char *text =
        document != NULL
            ? json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(6))
            : NULL;

    json_decref(document);
    if (text == NULL) {
        reply_status(request, KIST_NO_MEMORY, "The page was not made");
        return;
    }

    struct view body = view_of(text);
    struct blob owner = {
        .data = text, .size = body.size, .capacity = body.size + 1};
    reply_header_literal(request, "Cache-Control", "no-store");
    reply_bytes(request, code, "application/json", &owner, body);
}

json_t *json_page_hex(uint64_t number)
{
    char text[17];

    snprintf(text, sizeof(text), "%016" PRIx64, number);
    return json_string(text);
}

json_t *json_page_text(struct view text)
{
    return json_stringn(text.data, text.size);
}
