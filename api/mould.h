/*
 * mould - the response of a small answer, filled again for the next one.
 *
 * Half of what a GET of a small value took in user space was the making of its
 * libmicrohttpd response: three allocations a header, and their end. But most
 * answers of a node have the same headers with values of the same lengths. So
 * a response that was sent is kept by its shape (the names, the lengths, the
 * size of the body), and an answer of that shape writes its values over the
 * old ones.
 *
 * That uses one property of libmicrohttpd that its manual does not mention:
 * what MHD_get_response_headers() shows are the values themselves, which it
 * reads when it builds the head of a reply. A mould is filled only while no
 * connection has it.
 *
 * Threads: all on the loop.
 */
#ifndef KIST_API_MOULD_H
#define KIST_API_MOULD_H

#include "base/bytes.h"

#include <microhttpd.h>

/* Answers with more are made anew. */
enum {
    MOULD_FIELDS = 16,
    MOULD_BODY_MAX = 1024,
    MOULD_BUCKETS = 128,
    MOULDS_KEPT = 512, /* By each loop: at most about 1 MiB. */
};

struct mould;

/* One loop's; all zero is empty. */
struct moulds {
    struct mould *buckets[MOULD_BUCKETS]; /* Those that nobody has. */
    size_t kept;
    size_t oldest; /* The bucket that gives one up when there are too many. */
};

void moulds_clear(struct moulds *moulds);

/* name is kept: a literal. A NUL follows the value. */
struct mould_field {
    const char *name;
    struct view value;
};

/*
 * A mould with these headers and this body, both copied. NULL: there is no
 * memory, it is no small answer, or a value is none that a header can have.
 * Ends in moulds_give_back().
 */
struct mould *moulds_take(struct moulds *moulds,
                          const struct mould_field *fields, size_t nfields,
                          struct view body);

/* Takes a mould whose answer libmicrohttpd will not look at any more. */
void moulds_give_back(struct moulds *moulds, struct mould *mould);

/* The mould's: valid until that is given back. */
struct MHD_Response *mould_response(struct mould *mould);

#endif
