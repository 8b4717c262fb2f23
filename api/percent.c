#include "api/percent.h"

#include <string.h>

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || (c != '\0' && strchr("-._~", c) != NULL);
}

void percent_encode(struct view bytes, struct blob *out)
{
    for (size_t i = 0; i < bytes.size; i++)
        if (is_unreserved(bytes.data[i]))
            blob_append_byte(out, bytes.data[i]);
        else
            blob_printf(out, "%%%02X", (unsigned char)bytes.data[i]);
}
