#include "storage/redis_address.h"

#include <string.h>

bool redis_address_read(struct view text, struct redis_address *out_address)
{
    const char *colon =
        text.size == 0 ? NULL : memrchr(text.data, ':', text.size);
    struct view host = text;
    uint64_t port = 0;

    if (text.size == 0 || memchr(text.data, '\0', text.size) != NULL)
        return false;
    if (text.data[0] != '/') {
        if (colon == NULL)
            return false;
        host.size = (size_t)(colon - text.data);
        if (!view_to_u64(view_from(text, host.size + 1), &port) || port == 0 ||
            port > UINT16_MAX)
            return false;
    }
    if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
        host = (struct view){host.data + 1, host.size - 2};
    if (host.size == 0 || host.size >= REDIS_ADDRESS_SIZE)
        return false;
    memcpy(out_address->host, host.data, host.size);
    out_address->host[host.size] = '\0';
    out_address->port = (uint16_t)port;
    return true;
}

bool redis_address_equal(const struct redis_address *a,
                         const struct redis_address *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

void redis_address_print(const struct redis_address *address,
                         struct blob *out_text)
{
    bool is_six = strchr(address->host, ':') != NULL;

    blob_printf(out_text, is_six ? "[%s]" : "%s", address->host);
    if (address->host[0] != '/')
        blob_printf(out_text, ":%u", address->port);
}
