#include "replication/transport_fetch.h"

#include "replication/transport_handle.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SILENCE_S = 5,      /* Less than LEAST_BYTES a second for so long: over. */
    LEAST_BYTES = 1024, /* A second. */
    BUFFER_BYTES = 256 << 10,
    RANGE_SIZE = 64,
};

struct transport_fetch {
    CURL *easy;
    struct curl_slist *headers;
    const atomic_bool *stopping;

    /* During a get. */
    const struct transport_fetch_part *part;
    long wanted; /* The status of an answer that is taken. */
};

/* CURLOPT_XFERINFOFUNCTION, at least once a second. */
static int on_progress(void *ctx, curl_off_t all, curl_off_t now,
                       curl_off_t up_all, curl_off_t up)
{
    const struct transport_fetch *fetch = ctx;

    (void)all, (void)now, (void)up_all, (void)up;
    return atomic_load(fetch->stopping);
}

static long code_of(const struct transport_fetch *fetch)
{
    long code = 0;

    if (curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &code) !=
        CURLE_OK)
        return 0;
    return code;
}

/* CURLOPT_WRITEFUNCTION */
static size_t on_bytes(char *bytes, size_t one, size_t size, void *ctx)
{
    struct transport_fetch *fetch = ctx;
    struct view some = {bytes, size};

    (void)one; /* Is 1, says libcurl. */
    if (code_of(fetch) != fetch->wanted ||
        !fetch->part->take(fetch->part->ctx, some))
        return 0;
    return size;
}

static bool set_options(struct transport_fetch *fetch)
{
    CURL *easy = fetch->easy;
    CURLcode results[] = {
        curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L),
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)LEAST_BYTES),
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S),
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES),
        curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L),
        curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress),
        curl_easy_setopt(easy, CURLOPT_XFERINFODATA, fetch),
    };

    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i] != CURLE_OK)
            return false;
    return true;
}

struct transport_fetch *
transport_fetch_new(const struct transport_fetch_options *options)
{
    struct transport_fetch *fetch = calloc(1, sizeof(*fetch));

    if (fetch == NULL)
        return NULL;
    fetch->stopping = options->stopping;
    if (transport_handle_add_secret(&fetch->headers, options->secret))
        fetch->easy = transport_handle_new(fetch->headers, on_bytes, fetch);
    if (fetch->easy == NULL || !set_options(fetch)) {
        transport_fetch_free(fetch);
        return NULL;
    }
    return fetch;
}

void transport_fetch_free(struct transport_fetch *fetch)
{
    if (fetch == NULL)
        return;
    curl_easy_cleanup(fetch->easy);
    curl_slist_free_all(fetch->headers);
    free(fetch);
}

static bool set_url(CURL *easy, const struct transport_fetch_part *part)
{
    struct blob bytes = BLOB_EMPTY, url = BLOB_EMPTY;
    bool made;

    large_reference_encode(&part->file, &bytes);
    blob_printf(&url, "http://%s/peer/1/file/", part->address);
    for (size_t i = 0; i < bytes.size; i++)
        blob_printf(&url, "%02x", (unsigned char)bytes.data[i]);
    blob_append_byte(&url, '\0');
    made = !bytes.failed && !url.failed &&
           curl_easy_setopt(easy, CURLOPT_URL, url.data) == CURLE_OK;
    blob_free(&bytes);
    blob_free(&url);
    return made;
}

static bool set_range(CURL *easy, uint64_t first, uint64_t count)
{
    char range[RANGE_SIZE];

    if (count == 0 && first == 0)
        return curl_easy_setopt(easy, CURLOPT_RANGE, NULL) == CURLE_OK;
    if (count == 0)
        snprintf(range, sizeof(range), "%" PRIu64 "-", first);
    else
        snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, first,
                 first + count - 1);
    return curl_easy_setopt(easy, CURLOPT_RANGE, range) == CURLE_OK;
}

/* The answer has to be what was asked for: all, or the part. */
enum kist_status transport_fetch_get(struct transport_fetch *fetch,
                                     const struct transport_fetch_part *part)
{
    CURLcode result;

    if (!set_url(fetch->easy, part) ||
        !set_range(fetch->easy, part->first, part->count) ||
        curl_easy_setopt(fetch->easy, CURLOPT_TIMEOUT_MS,
                         (long)part->timeout_ms) != CURLE_OK)
        return KIST_NO_MEMORY;
    fetch->part = part;
    fetch->wanted = part->first > 0 || part->count > 0 ? 206 : 200;
    result = curl_easy_perform(fetch->easy);
    if (code_of(fetch) == 404)
        return KIST_NOT_FOUND;
    return result == CURLE_OK && code_of(fetch) == fetch->wanted ? KIST_OK
                                                                 : KIST_IO;
}
