#include "tests/crash/rounds.h"

#include "tests/support/give_up.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct view nothing = {NULL, 0};

uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t below(struct writer *writer, uint64_t limit)
{
    return random_next(&writer->random) % limit;
}

void writer_init(struct writer *writer, unsigned number, uint64_t seed)
{
    *writer = (struct writer){.number = number};
    writer->random = seed * 0x9E3779B97F4A7C15u + number + 1;
    for (unsigned i = 0; i < KEYS; i++) {
        struct key *key = &writer->keys[i];

        snprintf(key->name, sizeof key->name, "w%u/%02u", number, i);
        key->kind = i < KEYS - 4   ? KIND_VALUE
                    : i < KEYS - 2 ? KIND_COUNTER
                                   : KIND_PATCHED;
    }
}

void writer_forget(struct writer *writer)
{
    for (size_t i = 0; i < KEYS; i++) {
        writer->keys[i].acked = 0;
        writer->keys[i].maybe = 0;
        writer->keys[i].acked_file = writer->keys[i].maybe_file = false;
        writer->keys[i].version[0] = '\0';
    }
}

/*
 * Value number n of a key, always the same bytes: mostly small, now and then
 * larger than a block of the engine's log, or than a buffer of an upload.
 */
static struct blob value_of(const struct key *key, uint64_t n)
{
    struct blob value = BLOB_EMPTY;
    size_t fill = n % 43 == 0  ? 600000 + n % 1000
                  : n % 7 == 0 ? 40000 + n % 1000
                               : n * 37 % 700;

    if (key->kind == KIND_COUNTER || key->kind == KIND_PATCHED) {
        blob_printf(&value, "%" PRIu64, n);
        return value;
    }
    blob_printf(&value, "{\"key\":\"%s\",\"n\":%" PRIu64 ",\"fill\":\"",
                key->name, n);
    for (size_t i = 0; i < fill; i++)
        blob_append_byte(&value, (char)('a' + (n + i) % 26));
    blob_append_text(&value, "\"}");
    return value;
}

/* Did the one request get its answer? Anything odd ends the program. */
static bool answered(struct writer *writer, bool read,
                     const struct http_answer *answer)
{
    if (!read) {
        writer->unknown++;
        return false;
    }
    if (answer->status >= 300 && answer->status != 404)
        give_up("a write was answered %u: %.*s", answer->status,
                (int)answer->body.size, answer->body.data);
    writer->acked++;
    return true;
}

static void settle(struct key *key, uint64_t value,
                   const struct http_answer *answer)
{
    struct view version = http_header(answer, "Kist-Version");

    key->acked = key->maybe = value;
    key->acked_file = key->maybe_file;
    if (version.size == VERSION_SIZE) {
        if (memcmp(version.data, key->version, VERSION_SIZE) <= 0)
            give_up("the version of %s went from %s to %.32s", key->name,
                    key->version, version.data);
        memcpy(key->version, version.data, VERSION_SIZE);
    }
}

/* Half of the writes leave the sync away: a kill must not matter to them. */
static const char *durability(struct writer *writer)
{
    return below(writer, 2) == 0 ? "durability=async" : "durability=sync";
}

static bool put(struct writer *writer, struct http *http, struct key *key)
{
    struct http_answer answer = {0};
    char what[64];

    key->maybe = ++writer->last;
    struct blob value = value_of(key, key->maybe);
    key->maybe_file = value.size > INLINE_SIZE;
    snprintf(what, sizeof what, "PUT /kv/%s?%s", key->name, durability(writer));
    bool ok = answered(
        writer, http_ask(http, what, "", blob_view(&value), &answer), &answer);
    if (ok)
        settle(key, key->maybe, &answer);
    blob_free(&value);
    http_answer_free(&answer);
    return ok;
}

static bool drop(struct writer *writer, struct http *http, struct key *key)
{
    struct http_answer answer = {0};
    char what[64];

    key->maybe = 0;
    key->maybe_file = false;
    snprintf(what, sizeof what, "DELETE /kv/%s?%s", key->name,
             durability(writer));
    bool ok =
        answered(writer, http_ask(http, what, "", nothing, &answer), &answer);
    if (ok && (answer.status == 404) != (key->acked == 0))
        give_up("a delete of %s was answered %u", key->name, answer.status);
    if (ok)
        settle(key, 0, &answer);
    http_answer_free(&answer);
    return ok;
}

static bool count(struct writer *writer, struct http *http, struct key *key)
{
    struct http_answer answer = {0};
    char what[64], expected[24];

    key->maybe = key->acked + 1;
    snprintf(what, sizeof what, "POST /kv/%s?op=incr&%s", key->name,
             durability(writer));
    snprintf(expected, sizeof expected, "%" PRIu64, key->maybe);
    bool ok =
        answered(writer, http_ask(http, what, "", nothing, &answer), &answer);
    if (ok && !view_is(blob_view(&answer.body), expected))
        give_up("%s counted to %.*s, not %s", key->name, (int)answer.body.size,
                answer.body.data, expected);
    if (ok)
        settle(key, key->maybe, &answer);
    http_answer_free(&answer);
    return ok;
}

/* All writers count here; only the sum can be told. */
static bool count_shared(struct writer *writer, struct http *http)
{
    struct http_answer answer = {0};

    writer->shared_maybe++;
    bool ok = answered(
        writer, http_ask(http, "POST /kv/shared?op=incr", "", nothing, &answer),
        &answer);
    if (ok)
        writer->shared_acked++;
    http_answer_free(&answer);
    return ok;
}

static bool patch(struct writer *writer, struct http *http, struct key *key)
{
    static const char type[] = "Content-Type: application/merge-patch+json\r\n";
    struct http_answer answer = {0};
    char what[64], body[64];
    bool exists = key->acked != 0;

    key->maybe = ++writer->last;
    snprintf(what, sizeof what, "%s /kv/%s?%s", exists ? "PATCH" : "PUT",
             key->name, durability(writer));
    snprintf(body, sizeof body, "{\"n\":%" PRIu64 "}", key->maybe);
    bool ok = answered(
        writer,
        http_ask(http, what, exists ? type : "", view_of(body), &answer),
        &answer);
    if (ok)
        settle(key, key->maybe, &answer);
    http_answer_free(&answer);
    return ok;
}

static void append_operation(struct blob *body, const struct key *key)
{
    if (key->maybe == 0) {
        blob_printf(body, "{\"op\":\"delete\",\"key\":\"%s\"}\n", key->name);
        return;
    }
    struct blob value = value_of(key, key->maybe);
    blob_printf(body, "{\"op\":\"put\",\"key\":\"%s\",\"value\":%.*s}\n",
                key->name, (int)value.size, value.data);
    blob_free(&value);
}

/*
 * Neighbouring keys in one request: puts only if atomic, so that each key
 * shows whether it was applied.
 */
static bool batch(struct writer *writer, struct http *http)
{
    bool atomic = below(writer, 2) == 0;
    size_t size = 1 + below(writer, BATCH_MAX);
    size_t first = below(writer, KEYS - 4 - BATCH_MAX);
    struct http_answer answer = {0};
    struct blob body = BLOB_EMPTY;
    char what[64];

    for (size_t i = 0; i < size; i++) {
        struct key *key = &writer->keys[first + i];

        key->maybe = !atomic && below(writer, 4) == 0 ? 0 : ++writer->last;
        key->maybe_file = false; /* It comes whole, and stays inside. */
        append_operation(&body, key);
        writer->atomic[i] = key;
    }
    writer->atomic_size = atomic ? size : 0;
    snprintf(what, sizeof what, "POST /batch?%s%s", durability(writer),
             atomic ? "&atomic=1" : "");
    bool ok =
        answered(writer,
                 http_ask(http, what, "Content-Type: application/x-ndjson\r\n",
                          blob_view(&body), &answer),
                 &answer);
    for (size_t i = 0; ok && i < size; i++) {
        writer->keys[first + i].acked = writer->keys[first + i].maybe;
        writer->keys[first + i].acked_file = false;
    }
    if (ok)
        writer->atomic_size = 0;
    blob_free(&body);
    http_answer_free(&answer);
    return ok;
}

static bool write_one(struct writer *writer, struct http *http)
{
    uint64_t choice = below(writer, 16);
    struct key *key = &writer->keys[below(writer, KEYS - 4)];

    if (choice < 7)
        return put(writer, http, key);
    if (choice < 9)
        return drop(writer, http, key);
    if (choice < 12)
        return batch(writer, http);
    if (choice == 12)
        return count_shared(writer, http);
    key = &writer->keys[KEYS - 4 + below(writer, 4)];
    return key->kind == KIND_COUNTER ? count(writer, http, key)
                                     : patch(writer, http, key);
}

static void *write_on(void *argument)
{
    struct writer *writer = argument;

    while (!atomic_load(writer->stop) && write_one(writer, &writer->http))
        ;
    http_close(&writer->http);
    return NULL;
}

void writer_start(struct writer *writer, uint16_t port, atomic_bool *stop)
{
    /* Here, because the thread may come to run after the kill. */
    http_open(&writer->http, port);
    writer->stop = stop;
    writer->acked = writer->unknown = 0;
    writer->shared_acked = writer->shared_maybe = 0;
    if (pthread_create(&writer->thread, NULL, write_on, writer) != 0)
        give_up("no thread");
}

void writer_join(struct writer *writer)
{
    pthread_join(writer->thread, NULL);
}

/* Which value number is this? UINT64_MAX: none it may be. */
static uint64_t recognize(const struct key *key,
                          const struct http_answer *answer)
{
    uint64_t candidates[] = {key->acked, key->maybe};

    for (size_t i = 0; i < 2; i++) {
        struct blob value = value_of(key, candidates[i]);
        bool same =
            candidates[i] == 0
                ? answer->status == 404
                : answer->status == 200 &&
                      view_equal(blob_view(&value), blob_view(&answer->body));

        blob_free(&value);
        if (same)
            return candidates[i];
    }
    return UINT64_MAX;
}

static bool version_is_well(struct key *key, uint64_t found,
                            const struct http_answer *answer)
{
    struct view version = http_header(answer, "Kist-Version");

    if (found == 0)
        return true;
    if (version.size != VERSION_SIZE ||
        memcmp(version.data, key->version, VERSION_SIZE) < 0) {
        printf("# %s had version %s and now %.*s\n", key->name, key->version,
               (int)version.size, version.data);
        return false;
    }
    memcpy(key->version, version.data, VERSION_SIZE);
    return true;
}

static void keep_found(struct key *key, uint64_t found)
{
    if (key->acked != found)
        key->acked_file = key->maybe_file;
    key->acked = found;
}

static bool verify_key(struct key *key, struct http *http, size_t *out_present)
{
    struct http_answer answer = {0};
    char what[64];

    snprintf(what, sizeof what, "GET /kv/%s%s", key->name,
             key->kind == KIND_PATCHED ? "?ptr=/n" : "");
    if (!http_ask(http, what, "", nothing, &answer))
        give_up("no answer to %s", what);

    uint64_t found = recognize(key, &answer);
    bool ok = found != UINT64_MAX && version_is_well(key, found, &answer);
    if (found == UINT64_MAX)
        printf("# %s: acknowledged %" PRIu64 ", perhaps %" PRIu64
               ", but it is %u %.*s\n",
               key->name, key->acked, key->maybe, answer.status,
               (int)(answer.body.size < 80 ? answer.body.size : 80),
               answer.body.data);
    else
        keep_found(key, found); /* key->maybe tells the atomic batch's fate. */
    *out_present += found != 0;
    http_answer_free(&answer);
    return ok;
}

static bool verify_atomic(struct writer *writer)
{
    size_t applied = 0;

    for (size_t i = 0; i < writer->atomic_size; i++)
        applied += writer->atomic[i]->acked == writer->atomic[i]->maybe;
    if (applied == 0 || applied == writer->atomic_size)
        return true;
    printf("# an atomic batch from %s on: %zu of %zu applied\n",
           writer->atomic[0]->name, applied, writer->atomic_size);
    return false;
}

bool writer_verify(struct writer *writer, struct http *http,
                   size_t *out_present, size_t *out_files)
{
    bool ok = true;

    for (size_t i = 0; i < KEYS; i++)
        ok = verify_key(&writer->keys[i], http, out_present) && ok;
    ok = verify_atomic(writer) && ok;
    for (size_t i = 0; i < KEYS; i++) {
        writer->keys[i].maybe = writer->keys[i].acked;
        writer->keys[i].maybe_file = writer->keys[i].acked_file;
        *out_files += writer->keys[i].acked_file;
    }
    writer->atomic_size = 0;
    return ok;
}
