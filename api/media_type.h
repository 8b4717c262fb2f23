/*
 * media_type - what kind of bytes a body claims to be (RFC 9110, 8.3).
 */
#ifndef KIST_API_MEDIA_TYPE_H
#define KIST_API_MEDIA_TYPE_H

#include "base/bytes.h"

enum media_type_kind {
    MEDIA_TYPE_UNSTATED, /* None, or curl's default form type. */
    MEDIA_TYPE_JSON,     /* application/json, in UTF-8. */
    MEDIA_TYPE_OTHER,    /* Stored as it is. */
    MEDIA_TYPE_NOT_UTF8, /* JSON in another charset. */
    MEDIA_TYPE_INVALID,  /* Not a media type, or too long to store. */
};

/* header: data NULL where absent. */
enum media_type_kind media_type_kind(struct view header);

/* "type/subtype" of header is essence, whatever its parameters. */
bool media_type_is(struct view header, const char *essence);

#endif
