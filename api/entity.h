/*
 * entity - how a stored record looks from outside: as response headers, and
 * as the item of listings, batches and application/vnd.kist.entry+json.
 */
#ifndef KIST_API_ENTITY_H
#define KIST_API_ENTITY_H

#include "api/request.h"
#include "storage/record.h"

#define ENTITY_MEDIA_TYPE "application/vnd.kist.entry+json"
#define JSON_MEDIA_TYPE   "application/json"

/* ETag, Kist-Version. */
void entity_version_headers(struct request *request, struct version version);

/*
 * Those, and Last-Modified, Cache-Control, Vary, Kist-Type, Kist-Expires, for
 * the answer to a read.
 */
void entity_headers(struct request *request, const struct record *record);

enum entity_value {
    ENTITY_WITHOUT_VALUE,
    /* JSON, on one line; other bytes as base64; "large" without it for one
       that lies in a file (api/large_value.h brings it into memory). */
    ENTITY_WITH_VALUE,
};

/* Append one JSON object. */
void entity_append_item(struct blob *out, struct view key,
                        const struct record *record, enum entity_value value);

#endif
