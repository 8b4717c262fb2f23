/*
 * key_write - the one write of one request, until its answer.
 *
 * A handler makes one, fills write.next or the edit, and submits it. When the
 * write is durable, applied() answers; a write that did not happen is answered
 * here, alike for all: conditions, refusals, a full disk.
 *
 * Here it is chosen who decides: the commit of this node, or in a cluster the
 * owners of the key (api/key_quorum.h), who take plain puts and deletes alone.
 * Conditions and edits read before they write, and copies that are written by
 * many nodes at once have no one order to do that in: needs-strong.
 *
 * Threads: the request's loop; the edit is the commit thread's meanwhile.
 */
#ifndef KIST_API_KEY_WRITE_H
#define KIST_API_KEY_WRITE_H

#include "api/edit.h"
#include "api/request.h"
#include "storage/commit.h"

struct key_quorum;

struct key_write {
    /* Set by key_write_new(). */
    struct request *request;
    struct commit_group group;
    struct write write; /* key and condition are set. */
    uint64_t now_ms;    /* What a ttl counts from. */

    /*
     * In a cluster; NULL: one node. Owners that are slow, and an answer that
     * is being sent, keep all of this beyond the request.
     */
    struct key_quorum *quorum;
    unsigned references;

    /* The handler's. */
    void (*applied)(struct key_write *key_write);
    /* Or NULL; called first, with the final status, whatever it is. */
    void (*settled)(struct key_write *key_write, enum kist_status status);
    struct blob body; /* What the request brought. */
    struct edit edit; /* limits are set; used unless kind is EDIT_NONE. */
    char media_type[RECORD_MEDIA_TYPE_MAX + 1]; /* Of body. */

    char key[]; /* Of write: it may outlive the request. */
};

/*
 * With key, condition and durability of the request; the request owns it
 * from now on. NULL: they are wrong, and that was the reply.
 */
KIST_CHECKED struct key_write *key_write_new(struct request *request);

/* Hand it to the commit, or reply why not. The handler returns after it. */
void key_write_submit(struct key_write *key_write);

/* What of it a cluster has no order for. */
enum key_write_need { KEY_WRITE_EDIT, KEY_WRITE_CONDITION };

void key_write_reply_needs_strong(struct request *request,
                                  enum key_write_need need);

/* 412; version: the current one, or none where the key has no value. */
void key_write_reply_conflict(struct request *request, struct version version);

/* One of those who keep it is done with it. */
void key_write_release(void *key_write);

/* ETag, Kist-Version, Kist-Durable, Kist-Expires: for applied(). */
void key_write_headers(struct key_write *key_write);

/* 201 or 204 with those headers. */
void key_write_reply_empty(struct key_write *key_write);

/*
 * code with those headers, Kist-Type and bytes, whose memory is taken, or in a
 * cluster stays where it is. media_type is kept until the reply.
 */
void key_write_reply_value(struct key_write *key_write, unsigned code,
                           const char *media_type, enum json_type type,
                           struct blob *bytes);

/* 200 with the value of a large record, whose descriptor is taken. */
void key_write_reply_file(struct key_write *key_write, const char *media_type,
                          const struct record *record, int descriptor);

#endif
