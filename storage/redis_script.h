/*
 * redis_script - the scripts by which kist changes anything in Redis.
 *
 * A shard (storage/redis_slot.h) with the tag 7 is these keys of Redis:
 *
 *   kist{7}:KEY     8 bytes: when KEY came to have a value, in ms; then the
 *                   record, verbatim (storage/record.h). Redis expires it.
 *   kist{7}#index   a sorted set of the KEYs, all with score 0
 *   kist{7}#floor   the highest version (16 bytes) that may be gone without a
 *                   trace: of a deletion, or of a record that expires
 *
 * A new version must be above that of the record it replaces, or above the
 * floor where there is none. So no version of a key is ever given twice,
 * whichever kistd gives it and however its clock goes. A write that is sent
 * once more, as its first answer was lost, is recognised by its version, which
 * no other write has, and changes nothing.
 *
 * A record that was stamped elsewhere (WRITE_APPLY) is kept if it is newer than
 * what is there, or nothing is: what deleted it has left no trace of its own,
 * and the floor is that of many keys. A deletion from elsewhere raises it.
 *
 * Of the script that does everything:
 *
 *   KEYS  index, floor, a key for each step
 *   ARGV  two characters: "1": all steps or none, "0": each for itself; "1":
 *         this was sent before, "0": it was not. Then for each step:
 *         condition  a byte of enum condition_kind, then its versions
 *         verb       one of enum redis_verb
 *         version    16 bytes
 *         created    8 bytes
 *         expiry     ms since 1970, "0": none
 *         record
 *
 * The answer is a list, a text for each step: one of enum redis_outcome, then
 * as noted there. With all or none and an outcome that is none of the first
 * six, nothing was changed. tests/redis has an account of every outcome.
 *
 * Most writes are a put over a record, without a condition or an expiry. For
 * those there is a short script, which costs Redis half as much: KEYS has the
 * key, ARGV the record, with its version; 1: done; 0: nothing was done, as
 * there is no record, or the version is not above its own.
 */
#ifndef KIST_STORAGE_REDIS_SCRIPT_H
#define KIST_STORAGE_REDIS_SCRIPT_H

#include "base/bytes.h"

enum redis_script { REDIS_SCRIPT_CHANGE, REDIS_SCRIPT_REPLACE, REDIS_SCRIPTS };

enum redis_verb {
    REDIS_VERB_PUT = 'p',
    REDIS_VERB_PUT_ANEW = 'q', /* Created now, whatever was there. */
    REDIS_VERB_DELETE = 'd',
    REDIS_VERB_CHECK = 'k',  /* The condition holds, nothing else. */
    REDIS_VERB_TIDY = 't',   /* Out of the index, if it has expired. */
    REDIS_VERB_APPLY = 'm',  /* A record from elsewhere. */
    REDIS_VERB_FORGET = 'f', /* A deletion from elsewhere. */
};

enum redis_outcome {
    REDIS_OUTCOME_CREATED = 'n',
    REDIS_OUTCOME_REPLACED = 'o',
    REDIS_OUTCOME_DELETED = 'd',
    REDIS_OUTCOME_AGAIN = 'a', /* Done before; created (8), or nothing. */
    REDIS_OUTCOME_CHECKED = 'k',
    REDIS_OUTCOME_KEPT = 'u',     /* What is there stays: its version (16). */
    REDIS_OUTCOME_CONFLICT = 'c', /* The current version (16), or nothing. */
    REDIS_OUTCOME_MISSING = 'm',  /* Nothing to delete. */
    REDIS_OUTCOME_STALE = 's',    /* The time (8) that is to be surpassed. */
};

#define REDIS_SCRIPT_STEP_ARGUMENTS 6

struct view redis_script_text(enum redis_script script);

#endif
