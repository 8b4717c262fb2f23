/*
 * request_id - the name under which a request is found in answers and logs:
 * the client's own, if it is harmless, else one drawn here.
 *
 * Threads: a generator belongs to one loop.
 */
#ifndef KIST_API_REQUEST_ID_H
#define KIST_API_REQUEST_ID_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REQUEST_ID_SIZE = 17, /* Drawn: 16 hexadecimal digits and a NUL. */
    REQUEST_ID_MAX = 64,  /* Given: bytes. */
};

/* [A-Za-z0-9._-]{1,64}: fit for logs and headers as it is. */
bool request_id_is_good(struct view text);

/* Ids of it need to differ from all others, not to be secret. */
struct request_ids {
    uint64_t state[2];
};

/* KIST_IO: the kernel gave no random bytes. */
KIST_CHECKED enum kist_status request_ids_seed(struct request_ids *ids);

void request_ids_draw(struct request_ids *ids, char text[REQUEST_ID_SIZE]);

#endif
