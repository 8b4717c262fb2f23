/*
 * The hashes are nettle's: it uses the processor's SHA instructions, and is in
 * the process anyway, below libmicrohttpd's GnuTLS.
 */
#include "api/digest.h"

#include "api/base64.h"
#include "api/piece.h"

#include <assert.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

static const struct algorithm {
    const char *name;
    size_t size;
} algorithms[DIGEST_ALGORITHMS] = {
    [DIGEST_SHA_256] = {"sha-256", SHA256_DIGEST_SIZE},
    [DIGEST_SHA_512] = {"sha-512", SHA512_DIGEST_SIZE},
};

struct digest {
    enum digest_algorithm algorithm;
    union {
        struct sha256_ctx sha_256;
        struct sha512_ctx sha_512;
    } state;
};

static void begin(struct digest *digest, enum digest_algorithm algorithm)
{
    digest->algorithm = algorithm;
    if (algorithm == DIGEST_SHA_256)
        sha256_init(&digest->state.sha_256);
    else
        sha512_init(&digest->state.sha_512);
}

enum kist_status digest_new(enum digest_algorithm algorithm,
                            struct digest **out_digest)
{
    struct digest *digest = malloc(sizeof(*digest));

    assert(algorithm < DIGEST_ALGORITHMS);
    if (digest == NULL)
        return KIST_NO_MEMORY;
    begin(digest, algorithm);
    *out_digest = digest;
    return KIST_OK;
}

void digest_free(struct digest *digest)
{
    free(digest);
}

void digest_add(struct digest *digest, struct view bytes)
{
    const uint8_t *data = (const uint8_t *)bytes.data;

    if (digest->algorithm == DIGEST_SHA_256)
        sha256_update(&digest->state.sha_256, bytes.size, data);
    else
        sha512_update(&digest->state.sha_512, bytes.size, data);
}

static struct view end(struct digest *digest, char room[SHA512_DIGEST_SIZE])
{
    size_t size = algorithms[digest->algorithm].size;

    if (digest->algorithm == DIGEST_SHA_256)
        sha256_digest(&digest->state.sha_256, size, (uint8_t *)room);
    else
        sha512_digest(&digest->state.sha_512, size, (uint8_t *)room);
    return (struct view){room, size};
}

void digest_append_field(struct digest *digest, struct blob *out)
{
    char room[SHA512_DIGEST_SIZE];

    blob_append_text(out, algorithms[digest->algorithm].name);
    blob_append_text(out, "=:");
    base64_append(out, end(digest, room), BASE64);
    blob_append_byte(out, ':');
}

/* A key of RFC 8941; *out is DIGEST_NONE for an algorithm not known here. */
static bool read_name(struct view name, enum digest_algorithm *out)
{
    if (name.size == 0)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char byte = name.data[i];
        bool letter = (byte >= 'a' && byte <= 'z') || byte == '*';
        bool other = (byte >= '0' && byte <= '9') || byte == '-' ||
                     byte == '_' || byte == '.';

        if (!letter && (i == 0 || !other))
            return false;
    }
    for (*out = 0; *out < DIGEST_ALGORITHMS; *out += 1)
        if (view_is(name, algorithms[*out].name))
            break;
    return true;
}

/* The next member of a dictionary, without its parameters. */
static bool take_member(struct view *rest, enum digest_algorithm *out_name,
                        struct view *out_value)
{
    struct view member = piece_take(rest, ',');
    struct view name;

    *out_value = piece_take(&member, ';');
    name = piece_take(out_value, '=');
    return read_name(name, out_name);
}

enum digest_algorithm digest_wanted(struct view header)
{
    enum digest_algorithm best = DIGEST_NONE, algorithm;
    uint64_t most = 0, weight;
    struct view value;

    while (header.size > 0) {
        if (!take_member(&header, &algorithm, &value) ||
            !view_to_u64(value, &weight) || weight > 10)
            return DIGEST_NONE; /* A wish that cannot be read is none. */
        if (algorithm != DIGEST_NONE && weight > most) {
            best = algorithm;
            most = weight;
        }
    }
    return best;
}

enum { CLAIMS = 2 }; /* Content-Digest and Repr-Digest. */

struct digest_check {
    bool running[DIGEST_ALGORITHMS];
    struct digest digests[DIGEST_ALGORITHMS];
    bool claimed[CLAIMS][DIGEST_ALGORITHMS];
    char claims[CLAIMS][DIGEST_ALGORITHMS][SHA512_DIGEST_SIZE];
};

/* ":<base64>:" */
static enum kist_status read_bytes(struct view value, struct blob *out)
{
    if (value.size < 2 || value.data[0] != ':' ||
        value.data[value.size - 1] != ':')
        return KIST_INVALID;
    value = (struct view){value.data + 1, value.size - 2};
    if (!base64_decode(value, BASE64, out))
        return KIST_INVALID;
    return out->failed ? KIST_NO_MEMORY : KIST_OK;
}

static enum kist_status read_claim(struct digest_check *check, size_t claim,
                                   enum digest_algorithm algorithm,
                                   struct view value)
{
    struct blob bytes = BLOB_EMPTY;
    enum kist_status status = read_bytes(value, &bytes);

    if (status == KIST_OK && algorithm != DIGEST_NONE) {
        if (bytes.size == algorithms[algorithm].size) {
            memcpy(check->claims[claim][algorithm], bytes.data, bytes.size);
            check->claimed[claim][algorithm] = true;
        } else {
            status = KIST_INVALID;
        }
    }
    blob_free(&bytes);
    return status;
}

static enum kist_status read_claims(struct digest_check *check, size_t claim,
                                    struct view header)
{
    enum kist_status status = KIST_OK;

    if (header.data != NULL && header.size == 0)
        return KIST_INVALID;
    while (status == KIST_OK && header.size > 0) {
        enum digest_algorithm algorithm;
        struct view value;

        if (!take_member(&header, &algorithm, &value))
            return KIST_INVALID;
        status = read_claim(check, claim, algorithm, value);
    }
    return status;
}

static bool begin_claimed(struct digest_check *check)
{
    bool any = false;

    for (enum digest_algorithm i = 0; i < DIGEST_ALGORITHMS; i++) {
        check->running[i] = check->claimed[0][i] || check->claimed[1][i];
        any = any || check->running[i];
        begin(&check->digests[i], i);
    }
    return any;
}

enum kist_status digest_check_new(struct view content_digest,
                                  struct view repr_digest,
                                  struct digest_check **out_check)
{
    struct digest_check *check;
    enum kist_status status;

    *out_check = NULL;
    if (content_digest.data == NULL && repr_digest.data == NULL)
        return KIST_OK;
    check = calloc(1, sizeof(*check));
    if (check == NULL)
        return KIST_NO_MEMORY;
    status = read_claims(check, 0, content_digest);
    if (status == KIST_OK)
        status = read_claims(check, 1, repr_digest);
    if (status == KIST_OK && begin_claimed(check))
        *out_check = check;
    else
        free(check);
    return status;
}

void digest_check_add(struct digest_check *check, struct view bytes)
{
    for (size_t i = 0; i < DIGEST_ALGORITHMS; i++)
        if (check->running[i])
            digest_add(&check->digests[i], bytes);
}

bool digest_check_holds(struct digest_check *check)
{
    bool holds = true;

    for (size_t i = 0; i < DIGEST_ALGORITHMS; i++) {
        char room[SHA512_DIGEST_SIZE];
        struct view is;

        if (!check->running[i])
            continue;
        is = end(&check->digests[i], room);
        for (size_t claim = 0; claim < CLAIMS; claim++)
            if (check->claimed[claim][i] &&
                memcmp(is.data, check->claims[claim][i], is.size) != 0)
                holds = false;
    }
    return holds;
}

void digest_check_free(struct digest_check *check)
{
    free(check);
}
