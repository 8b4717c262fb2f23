#include "api/request_id.h"

#include <sys/random.h>

bool request_id_is_good(struct view text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool fits = (byte >= '0' && byte <= '9') ||
                    (byte >= 'A' && byte <= 'Z') ||
                    (byte >= 'a' && byte <= 'z') || byte == '.' ||
                    byte == '_' || byte == '-';

        if (!fits)
            return false;
    }
    return text.size >= 1 && text.size <= REQUEST_ID_MAX;
}

enum kist_status request_ids_seed(struct request_ids *ids)
{
    if (getrandom(ids->state, sizeof(ids->state), 0) !=
        (ssize_t)sizeof(ids->state))
        return KIST_IO;
    ids->state[0] |= 1; /* All zeros would stay zeros. */
    return KIST_OK;
}

/* xorshift128+ */
static uint64_t next_number(struct request_ids *ids)
{
    uint64_t a = ids->state[0];
    uint64_t b = ids->state[1];

    ids->state[0] = b;
    a ^= a << 23;
    a ^= a >> 17;
    a ^= b ^ (b >> 26);
    ids->state[1] = a;
    return a + b;
}

void request_ids_draw(struct request_ids *ids, char text[REQUEST_ID_SIZE])
{
    uint64_t number = next_number(ids);

    for (size_t i = 0; i < REQUEST_ID_SIZE - 1; i++) {
        text[i] = "0123456789abcdef"[number & 15];
        number >>= 4;
    }
    text[REQUEST_ID_SIZE - 1] = '\0';
}
