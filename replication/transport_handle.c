#include "replication/transport_handle.h"

#include "base/bytes.h"

#include <curl/curl.h>

enum {
    CONNECT_MS = 1000,
    IDLE_S = 30, /* An older connection is not used again. */
};

bool transport_handle_add_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*headers, line);

    if (longer != NULL)
        *headers = longer;
    return longer != NULL;
}

bool transport_handle_add_secret(struct curl_slist **headers,
                                 const char *secret)
{
    struct blob line = BLOB_EMPTY;
    bool added;

    if (secret[0] == '\0')
        return true;
    blob_printf(&line, "Authorization: Bearer %s", secret);
    blob_append_byte(&line, '\0');
    added = !line.failed && transport_handle_add_header(headers, line.data);
    blob_free(&line);
    return added;
}

static bool set_options(CURL *easy, struct curl_slist *headers,
                        curl_write_callback take, void *ctx)
{
    CURLcode results[] = {
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers),
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take),
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, ctx),
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L),
        curl_easy_setopt(easy, CURLOPT_PROXY, ""),
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http"),
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                         (long)CURL_HTTP_VERSION_1_1),
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS),
        curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_S),
    };

    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i] != CURLE_OK)
            return false;
    return true;
}

void *transport_handle_new(struct curl_slist *headers,
                           size_t (*take)(char *bytes, size_t one, size_t size,
                                          void *ctx),
                           void *ctx)
{
    CURL *easy = curl_easy_init();

    if (easy != NULL && set_options(easy, headers, take, ctx))
        return easy;
    curl_easy_cleanup(easy);
    return NULL;
}
