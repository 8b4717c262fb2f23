/*
 * The request has its answer as soon as w owners have the write; the others
 * may vote later. So the key_write, whose bytes they get, has two references
 * from then on: the request's, and that of the write among its owners.
 */
#include "api/key_quorum.h"

#include "api/api.h"
#include "api/copies.h"
#include "api/entity.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "base/owner.h"
#include "replication/quorum_write.h"
#include "storage/large_leftover.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct key_quorum {
    struct key_write *key_write;
    struct commit_lane *lane; /* The loop's. */
    struct copies copies;
    struct quorum_write write;
};

void key_quorum_free(struct key_quorum *quorum)
{
    free(quorum);
}

static void reply_too_few(struct key_write *key_write)
{
    const struct copies *copies = &key_write->quorum->copies;

    copies_write_receipt(key_write->request, copies, 0);
    reply_problem(key_write->request, PROBLEM_TOO_FEW,
                  "w=%u copies are asked for, and fewer of the %u nodes that "
                  "have this key can take a write now. Nothing was written. "
                  "Try again, or with a smaller w.",
                  copies->w, copies->n);
}

/* Nobody outside can tell, or choose, which names come of it. */
struct large_reference key_quorum_name(uint64_t cluster, struct view key,
                                       struct version version)
{
    struct bucket_secret secret = bucket_secret_of(cluster);
    char bytes[VERSION_HEX_SIZE + 1 + STORE_KEY_MAX];
    struct view named = {bytes, VERSION_HEX_SIZE + key.size};

    version_to_hex(version, bytes);
    memcpy(bytes + VERSION_HEX_SIZE, key.data, key.size);
    return (struct large_reference){.boot = siphash(secret.high, named),
                                    .serial = siphash(secret.low, named)};
}

struct large_reference key_quorum_file_name(const struct key_write *key_write)
{
    return key_quorum_name(key_write->request->api_loop->seat->ring->cluster,
                           key_write->write.key,
                           key_write->quorum->write.record.version);
}

/*
 * Also of a write that was done: where this node owns the key, a record has
 * the file by then, or has had a newer one.
 */
void key_quorum_give_up(const struct key_write *key_write)
{
    const struct record *record = &key_write->write.next;
    struct large_reference file;

    if (record->large &&
        large_reference_decode(record->value, &file) == KIST_OK)
        large_leftover_give_up(key_write->quorum->lane, &file);
}

/* The one that is sent once more, or a new one. */
static enum kist_status choose_version(struct request *request,
                                       struct version *out_version)
{
    *out_version = preconditions_version(request, HEADER_KIST_VERSION);
    if (!version_is_none(*out_version))
        return KIST_OK;
    return timekeeper_stamp(&request->api_loop->seat->clock, out_version);
}

/* Not to be stamped with what cannot be trusted, or may be given twice. */
static void reply_no_version(struct request *request)
{
    if (timekeeper_is_fenced(&request->api_loop->seat->clock))
        reply_problem(request, PROBLEM_BUSY,
                      "The clock of this node cannot be trusted now, see "
                      "/readyz. Nothing was written. Ask another node.");
    else
        reply_problem(request, PROBLEM_BUSY,
                      "The clock of this node waits for its disk. Nothing was "
                      "written. Try again.");
}

bool key_quorum_prepare(struct key_write *key_write)
{
    struct request *request = key_write->request;
    struct key_quorum *quorum = calloc(1, sizeof(*quorum));
    enum kist_status status = KIST_NO_MEMORY;

    key_write->quorum = quorum;
    if (quorum != NULL) {
        quorum->key_write = key_write;
        quorum->lane = request->api_loop->lane;
        if (!copies_read(request, &quorum->copies))
            return false;
        status = choose_version(request, &quorum->write.record.version);
    }
    if (status == KIST_OK) {
        key_write->now_ms = version_ms(quorum->write.record.version);
        return true;
    }
    if (status == KIST_BUSY)
        reply_no_version(request);
    else
        reply_status(request, status, "The value was not written");
    return false;
}

/* What comes of it. */

static void reply_not_applied(struct key_quorum *quorum)
{
    struct request *request = quorum->key_write->request;

    copies_write_receipt(request, &quorum->copies, 0);
    reply_problem(request, PROBLEM_TOO_FEW,
                  "None of the nodes that have this key could be reached. "
                  "Nothing was written. Try again.");
}

/* It may be on some already, or come to them yet. */
static void reply_unknown(struct key_quorum *quorum)
{
    struct request *request = quorum->key_write->request;
    char hex[VERSION_HEX_SIZE + 1];

    version_to_hex(quorum->write.record.version, hex);
    reply_header(request, "Kist-Version", "%s", hex);
    reply_member_text(request, "version", view_of(hex));
    copies_write_receipt(request, &quorum->copies, quorum->write.acked);
    reply_problem(request, PROBLEM_OUTCOME_UNKNOWN,
                  "%u of w=%u copies are known to be there, and others may "
                  "follow. Send the same request again with Kist-Version: %s, "
                  "as often as it takes: it is one write.",
                  quorum->write.acked, quorum->copies.w, hex);
}

static void on_answered(struct quorum_write *write)
{
    struct key_quorum *quorum = OWNER(write, struct key_quorum, write);
    struct key_write *key_write = quorum->key_write;

    if (key_write->request == NULL)
        return;
    key_write->write.version = write->record.version;
    key_write->write.expiry_ms = write->record.expiry_ms;
    key_write->write.created = !write->replaced && !write->record.tombstone;
    key_write->group.synced = write->sync;
    switch (write->outcome) {
    case QUORUM_WRITE_DONE:
        key_write->write.status = KIST_OK;
        key_write->group.done(&key_write->group);
        break;
    case QUORUM_WRITE_NOT_APPLIED:
        reply_not_applied(quorum);
        break;
    case QUORUM_WRITE_UNKNOWN:
        reply_unknown(quorum);
        break;
    }
}

static void on_ended(struct quorum_write *write)
{
    struct key_quorum *quorum = OWNER(write, struct key_quorum, write);

    key_quorum_give_up(quorum->key_write);
    key_write_release(quorum->key_write);
}

/* The client is gone; the write happens all the same. */
static void on_detach(struct request *request)
{
    struct key_write *key_write = request->work;

    key_write->request = NULL;
    key_write_release(key_write);
}

void key_quorum_start(struct key_write *key_write)
{
    struct key_quorum *quorum = key_write->quorum;
    struct request *request = key_write->request;
    struct version version = quorum->write.record.version;
    enum kist_status status;

    quorum->write = (struct quorum_write){
        .key = key_write->write.key,
        .record = key_write->write.next,
        .sync = key_write->group.sync,
        .n = quorum->copies.n,
        .w = quorum->copies.w,
        .timeout_ms = request->api->quorum.write_timeout_ms,
        .answered = on_answered,
        .ended = on_ended,
    };
    quorum->write.record.version = version;
    status = quorum_write_start(&quorum->write, request->api_loop->seat);
    if (status != KIST_OK)
        key_quorum_give_up(key_write);
    if (status == KIST_OK) {
        key_write->references++;
        request->detach = on_detach;
    } else if (status == KIST_BUSY) {
        reply_too_few(key_write);
    } else {
        reply_status(request, status, "The value was not written");
    }
}

void key_quorum_headers(struct key_write *key_write)
{
    struct request *request = key_write->request;
    const struct key_quorum *quorum = key_write->quorum;
    char hex[VERSION_HEX_SIZE + 1];

    reply_header(request, "Kist-Durable", "%s;nodes=%u",
                 quorum->write.sync == ENGINE_SYNC ? "sync" : "async",
                 quorum->write.acked);
    copies_write_receipt(request, &quorum->copies, quorum->write.acked);
    if (version_is_none(quorum->write.superseded))
        return;
    version_to_hex(quorum->write.superseded, hex);
    reply_header(request, "Kist-Superseded", "%s", hex);
}
