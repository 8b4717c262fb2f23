/*
 * target - what a request's target says: path, key and query parameters.
 *
 * libmicrohttpd's own decoding is switched off, so these functions see the
 * bytes as sent and decode them exactly once. All are pure: bytes in, views
 * and a fault out. tests/fuzz drives them.
 *
 * In a path `+` is a plus sign, in a query it is a space (as forms send it).
 */
#ifndef KIST_API_TARGET_H
#define KIST_API_TARGET_H

#include "api/problem.h"
#include "api/request.h"
#include "base/bytes.h"

#define TARGET_KEY_MAX 1024

enum target_fault {
    TARGET_FINE,
    TARGET_MALFORMED, /* Neither /path, http://host/path nor *. */
    TARGET_BYTES,     /* A space or control byte. */
    TARGET_FRAGMENT,
    TARGET_KEY_ESCAPE, /* %zz */
    TARGET_KEY_EMPTY,
    TARGET_KEY_LONG,
    TARGET_KEY_CONTROL,
    TARGET_KEY_ENCODING, /* Not UTF-8. */
    TARGET_KEY_DOTS,     /* A segment . or .. */
    TARGET_PARAMETER_ESCAPE,
    TARGET_PARAMETER_UNKNOWN,
    TARGET_PARAMETER_TWICE,
    TARGET_FAULTS
};

/* Which problem a fault is, and the detail that says what to do. */
enum problem target_fault_problem(enum target_fault fault);
const char *target_fault_detail(enum target_fault fault);

/*
 * Split a raw target. *out_path begins with '/' or is "*"; *out_query is what
 * follows the first '?' (data NULL: there is none). Both lie inside raw.
 */
KIST_CHECKED enum target_fault
target_split(struct view raw, struct view *out_path, struct view *out_query);

/* The rules for a decoded key, wherever it came from. */
KIST_CHECKED enum target_fault target_check_key(struct view key);

/*
 * Decode and check the key that a raw path ends in. room has raw.size bytes;
 * *out_key lies in room, or in raw where nothing needed decoding.
 */
KIST_CHECKED enum target_fault target_key(struct view raw, char *room,
                                          struct view *out_key);

/*
 * Decode a query into parameters (all NULL before). allowed has a bit an enum
 * parameter. room has raw.size bytes and is kept as long as the parameters
 * are used. A fault leaves the name it is about in *out_name.
 */
KIST_CHECKED enum target_fault target_query(struct view raw, uint64_t allowed,
                                            char *room,
                                            struct view parameters[PARAMETERS],
                                            struct view *out_name);

#endif
