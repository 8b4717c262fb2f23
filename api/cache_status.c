#include "api/cache_status.h"

#include "api/api.h"
#include "api/piece.h"

/* Literals: they are read while the answer is sent. */
static const char *const texts[][STORE_NO_CACHE + 1] = {
    [STORE_USUAL] = {[STORE_CACHE] = "kist; hit",
                     [STORE_ENGINE_KEPT] = "kist; fwd=uri-miss; stored",
                     [STORE_ENGINE] = "kist; fwd=uri-miss",
                     [STORE_NO_CACHE] = "kist; fwd=bypass"},
    [STORE_FRESH] = {[STORE_CACHE] = "kist; hit",
                     [STORE_ENGINE_KEPT] = "kist; fwd=request; stored",
                     [STORE_ENGINE] = "kist; fwd=request",
                     [STORE_NO_CACHE] = "kist; fwd=bypass"},
};

/* RFC 9111, 5.2.1.4. What else a request may say is about other caches. */
static enum store_reader reader_of(struct view cache_control)
{
    while (cache_control.size > 0) {
        struct view directive = piece_take(&cache_control, ',');

        if (view_is_ignoring_case(directive, "no-cache"))
            return STORE_FRESH;
    }
    return STORE_USUAL;
}

enum kist_status cache_status_read(struct request *request,
                                   struct item *out_item)
{
    enum store_reader reader =
        reader_of(request->headers[HEADER_CACHE_CONTROL]);
    enum store_source source;
    enum kist_status status = store_read(request->api->store, request->key,
                                         reader, out_item, &source);

    request->cache_status = texts[reader][source];
    return status;
}
