/*
 * trial - one edit run on one record, for tests: what it was and came to.
 */
#ifndef KIST_TESTS_API_TRIAL_H
#define KIST_TESTS_API_TRIAL_H

#include "api/edit.h"

#define TRIAL_LIMIT 64 /* Bytes that a value may have. */

struct trial {
    struct edit edit;
    struct write write;
    struct record next;
    enum kist_status status;
};

/* Not run yet; ends in edit_clear(). */
struct trial trial_of(enum edit_kind kind);

/* current: NULL where the key has no value. */
void trial_run(struct trial *trial, const struct record *current);

/* Records that expire at 77. text is borrowed as long as they are used. */
struct record trial_json(const char *text);  /* application/json; a=b */
struct record trial_bytes(const char *text); /* text/plain */

/* The key has this value now. */
void trial_expect(const struct trial *trial, const char *value,
                  enum json_type type, const char *media_type);

/* It is refused and says why; about is for the message. */
void trial_expect_refused(const struct trial *trial, enum problem problem,
                          const char *about);

/* What was read or taken is a copy of old. */
void trial_expect_kept(const struct trial *trial, const struct record *old);

#endif
