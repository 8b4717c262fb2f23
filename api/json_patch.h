/*
 * json_patch - RFC 6902: a list of operations on a document.
 *
 * Parsing finds everything that is wrong with a patch by itself, so that only
 * sound patches wait for their turn; applying then depends on the document
 * alone. A document is changed by all operations or not at all. What no
 * operation touches keeps its bytes.
 *
 * The cost is bounded for any patch and document (json_tree.h): a mebibyte of
 * each takes a fraction of a second or is refused.
 *
 * Threads: no state beside the patch, which is read-only once it is parsed.
 */
#ifndef KIST_API_JSON_PATCH_H
#define KIST_API_JSON_PATCH_H

#include "base/bytes.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { JSON_PATCH_MAX_OPERATIONS = 10000 };

/* The fault lies in the document as a whole, in no single operation. */
#define JSON_PATCH_WHOLE SIZE_MAX

/* For people, as struct json_fault: never a byte of the client's. */
struct json_patch_fault {
    size_t operation; /* From 0, or JSON_PATCH_WHOLE. */
    size_t offset;    /* In the text of the patch; 0 when applying. */
    const char *reason;
};

struct json_patch;

/*
 * Parse text, which need not be checked before; keeps it. Gives *out_patch:
 * json_patch_free(). KIST_INVALID: not JSON, or no JSON Patch.
 * KIST_TOO_LARGE: too many operations. Both fill *out_fault. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status
json_patch_parse(struct view text, struct json_patch **out_patch,
                 struct json_patch_fault *out_fault);

void json_patch_free(struct json_patch *patch);

/* Bytes of heap it holds, for whoever bounds memory. */
size_t json_patch_memory(const struct json_patch *patch);

/*
 * Append to out what document, checked JSON, becomes. *out_fault is filled,
 * and out as it was, with KIST_CONFLICT: a test failed; KIST_NOT_FOUND: a
 * path leads nowhere; KIST_TOO_LARGE: after some operation there are more
 * than limit bytes, or another bound was hit. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status
json_patch_apply(const struct json_patch *patch, struct view document,
                 size_t limit, struct blob *out,
                 struct json_patch_fault *out_fault);

#endif
