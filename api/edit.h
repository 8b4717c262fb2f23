/*
 * edit - how a value becomes another one: counters, appends, expiry, patches.
 *
 * A request or a batch's operation fills an edit when it arrives, and checks
 * all that can be checked without the value. edit_apply() then runs on the
 * commit thread, in its turn, on the value as the writes before left it; so
 * no two edits at once ever lose one another.
 */
#ifndef KIST_API_EDIT_H
#define KIST_API_EDIT_H

#include "api/json_patch.h"
#include "api/problem.h"
#include "service/settings.h"
#include "storage/commit.h"

enum edit_kind {
    EDIT_NONE,        /* A plain put or delete. */
    EDIT_READ,        /* Change nothing, keep the value in result. */
    EDIT_TAKE,        /* Delete, and keep the value in result. */
    EDIT_INCREMENT,   /* Add by to a whole number; absent is 0. */
    EDIT_APPEND,      /* Bytes to bytes, or JSON to an array. */
    EDIT_EXPIRY,      /* Set the expiry; 0 removes it. */
    EDIT_MERGE_PATCH, /* RFC 7396 */
    EDIT_JSON_PATCH,  /* RFC 6902 */
};

struct edit {
    enum edit_kind kind;

    /* What the client sent; the bytes are kept until the edit is done. */
    struct view body; /* To append, or a merge patch: checked JSON. */
    enum json_type body_type;
    struct view body_media_type;
    struct json_patch *patch; /* The edit's own. */
    int64_t by;
    uint64_t expiry_ms; /* 0: as it was; EDIT_EXPIRY: none. */
    uint64_t max_json_bytes;
    uint64_t max_value_bytes;
    struct store *store; /* EDIT_TAKE: where large values lie. */

    /* What came of it. */
    struct blob result; /* The new value; EDIT_READ and EDIT_TAKE: the old, */
    bool is_open;       /* which EDIT_TAKE, if it is large, opened instead, */
    int descriptor;     /* as this. */
    struct record seen; /* Of result; its media type is in media_type. */
    char media_type[RECORD_MEDIA_TYPE_MAX + 1];
    bool refused; /* Then the status is KIST_INVALID, and this is why: */
    enum problem problem;
    char detail[200];
};

/* What limits the results. */
void edit_limit(struct edit *edit, const struct settings *settings);

/* For write.load_limit: how much of a large value the edit can work on. */
uint64_t edit_load_limit(const struct edit *edit);

void edit_clear(struct edit *edit);

/* For write.edit, with write.ctx the edit. */
KIST_CHECKED enum kist_status edit_apply(struct write *write,
                                         const struct record *current,
                                         struct record *next);

#endif
