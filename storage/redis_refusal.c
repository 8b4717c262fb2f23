#include "storage/redis_refusal.h"

#include <string.h>

static const struct row {
    const char *word;
    enum redis_refusal_kind kind;
    enum kist_status status;
} rows[] = {
    {"MOVED", REDIS_REFUSAL_MOVED, KIST_OK},
    {"ASK", REDIS_REFUSAL_ASK, KIST_OK},
    {"NOSCRIPT", REDIS_REFUSAL_NOSCRIPT, KIST_OK},
    {"READONLY", REDIS_REFUSAL_DEMOTED, KIST_OK},
    {"CLUSTERDOWN", REDIS_REFUSAL_LATER, KIST_OK},
    {"MASTERDOWN", REDIS_REFUSAL_LATER, KIST_OK},
    {"TRYAGAIN", REDIS_REFUSAL_LATER, KIST_OK},
    {"LOADING", REDIS_REFUSAL_LATER, KIST_OK},
    {"BUSY", REDIS_REFUSAL_LATER, KIST_OK},       /* With another script. */
    {"NOREPLICAS", REDIS_REFUSAL_LATER, KIST_OK}, /* min-replicas-to-write */
    {"MISCONF", REDIS_REFUSAL_LATER, KIST_OK},    /* It cannot save. */
    {"OOM", REDIS_REFUSAL_FINAL, KIST_DISK_FULL},
};

/* "MOVED 3999 127.0.0.1:6381": behind the last space. */
static bool read_address(struct view text, struct redis_address *out_address)
{
    const char *space = memrchr(text.data, ' ', text.size);
    struct view last;

    if (space == NULL)
        return false;
    last = view_from(text, (size_t)(space - text.data) + 1);
    if (last.size > 1 && last.data[0] == ':') {
        uint64_t port;

        if (!view_to_u64(view_from(last, 1), &port) || port > UINT16_MAX)
            return false;
        *out_address = (struct redis_address){.port = (uint16_t)port};
        return true;
    }
    return redis_address_read(last, out_address);
}

struct redis_refusal redis_refusal_read(struct view text)
{
    const char *end = text.size == 0 ? NULL : memchr(text.data, ' ', text.size);
    struct view word = text;
    struct redis_refusal refusal = {REDIS_REFUSAL_FINAL, {{0}, 0}, KIST_IO};

    if (end != NULL)
        word.size = (size_t)(end - text.data);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (view_is(word, rows[i].word)) {
            refusal.kind = rows[i].kind;
            refusal.status = rows[i].status;
        }
    if ((refusal.kind == REDIS_REFUSAL_MOVED ||
         refusal.kind == REDIS_REFUSAL_ASK) &&
        !read_address(text, &refusal.address))
        refusal.kind = REDIS_REFUSAL_DEMOTED;
    return refusal;
}
