#include "api/peer_file.h"

#include "api/api.h"
#include "api/exchange.h"
#include "api/peer.h"
#include "api/range.h"
#include "api/reply.h"
#include "storage/store.h"

#include <inttypes.h>
#include <unistd.h>

/* The same as KIST_CORRUPT if it is not what transport_files writes. */
static enum kist_status read_reference(struct view digits,
                                       struct large_reference *out)
{
    struct large_reference size_and_hash;
    struct view name = {digits.data, LARGE_NAME_SIZE};

    if (digits.size != 2 * LARGE_REFERENCE_SIZE ||
        !large_reference_from_name(name, out) ||
        !large_reference_from_name(view_from(digits, LARGE_NAME_SIZE),
                                   &size_and_hash))
        return KIST_CORRUPT;
    out->size = size_and_hash.boot;
    out->hash = size_and_hash.serial;
    return KIST_OK;
}

static void send_part(struct request *request, uint64_t size, int descriptor)
{
    static const char type[] = "application/octet-stream";
    uint64_t first = 0, count = size;

    switch (range_read(request->headers[HEADER_RANGE], size, &first, &count)) {
    case RANGE_WHOLE:
        reply_file(request, 200, type, descriptor, 0, size);
        break;
    case RANGE_PART:
        reply_header(request, "Content-Range",
                     "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                     first + count - 1, size);
        reply_file(request, 206, type, descriptor, first, count);
        break;
    case RANGE_UNSATISFIABLE:
        close(descriptor);
        reply_empty(request, 416);
        break;
    }
}

void peer_file_send(struct request *request)
{
    struct large *large = store_large(request->api->store);
    struct large_reference file;
    int descriptor;
    enum kist_status status;

    if (!peer_is_trusted(request))
        return;
    status = read_reference(request->key, &file);
    if (status == KIST_OK)
        status = exchange_take_file(request->exchange)
                     ? large_open_file(large, &file, &descriptor)
                     : KIST_BUSY;
    if (status == KIST_OK)
        send_part(request, file.size, descriptor);
    else if (status == KIST_BUSY)
        reply_problem(request, PROBLEM_BUSY, "Too many files are open now.");
    else
        reply_empty(request, 404); /* Damaged here is as good as not here. */
}
