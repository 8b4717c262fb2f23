/*
 * key_write - the one write of one request, until its answer.
 *
 * A handler makes one, fills write.next or the edit, and submits it. When the
 * write is durable, applied() answers; a write that did not happen is answered
 * here, alike for all: conditions, refusals, a full disk.
 *
 * Threads: the request's loop; the edit is the commit thread's meanwhile.
 */
#ifndef KIST_API_KEY_WRITE_H
#define KIST_API_KEY_WRITE_H

#include "api/edit.h"
#include "api/request.h"
#include "storage/commit.h"

struct key_write {
    /* Set by key_write_new(). */
    struct request *request;
    struct commit_group group;
    struct write write; /* key and condition are set. */

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

/* 412; version: the current one, or none where the key has no value. */
void key_write_reply_conflict(struct request *request, struct version version);

/* ETag, Kist-Version, Kist-Durable, Kist-Expires: for applied(). */
void key_write_headers(struct key_write *key_write);

/* 201 or 204 with those headers. */
void key_write_reply_empty(struct key_write *key_write);

/*
 * code with those headers, Kist-Type and bytes, whose memory is taken.
 * media_type is kept until the reply.
 */
void key_write_reply_value(struct key_write *key_write, unsigned code,
                           const char *media_type, enum json_type type,
                           struct blob *bytes);

/* 200 with the value of a large record, whose descriptor is taken. */
void key_write_reply_file(struct key_write *key_write, const char *media_type,
                          const struct record *record, int descriptor);

#endif
