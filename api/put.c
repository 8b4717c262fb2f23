/* put - PUT /kv/<key>: store the body as the key's value. */
#include "api/handlers.h"

#include "api/key_write.h"
#include "api/preconditions.h"
#include "api/prefer.h"
#include "api/reply.h"
#include "api/value_body.h"

#include <string.h>

/* Prefer: return=representation */
static void reply_value(struct key_write *put)
{
    reply_header(put->request, "Preference-Applied", "return=representation");
    key_write_reply_value(put, 200, put->media_type, put->write.next.type,
                          &put->body);
}

void put_key(struct request *request)
{
    struct value_body value;
    struct key_write *put;
    uint64_t expiry_ms;

    if (!value_body_check(request, &value))
        return;
    put = key_write_new(request);
    if (put == NULL || !preconditions_expiry(request, &expiry_ms))
        return;

    put->body = request_take_body(request);
    memcpy(put->media_type, value.media_type.data, value.media_type.size);
    put->write.next = (struct record){
        .expiry_ms = expiry_ms,
        .type = value.type,
        .media_type = {put->media_type, value.media_type.size},
        .value = blob_view(&put->body),
    };
    if (prefer_read(request->headers[HEADER_PREFER]).representation)
        put->applied = reply_value;
    key_write_submit(put);
}
