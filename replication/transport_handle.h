/*
 * transport_handle - a libcurl handle for requests to members: what those that
 * carry messages and those that fetch files have in common.
 *
 * HTTP/1.1 without a proxy and without signals, the secret of the cluster in
 * each request, connections that are kept and not used again when they have
 * idled for long.
 *
 * Threads: a handle and a list of headers belong to one.
 */
#ifndef KIST_REPLICATION_TRANSPORT_HANDLE_H
#define KIST_REPLICATION_TRANSPORT_HANDLE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct curl_slist;

/* One more line, which is copied. False: no memory, the list is what it was. */
KIST_CHECKED bool transport_handle_add_header(struct curl_slist **headers,
                                              const char *line);

/* The secret's line; "": there is none. */
KIST_CHECKED bool transport_handle_add_secret(struct curl_slist **headers,
                                              const char *secret);

/*
 * A CURL, which ends in curl_easy_cleanup(). Keeps headers. take gets the
 * bytes of an answer, as CURLOPT_WRITEFUNCTION. NULL: no memory.
 */
void *transport_handle_new(struct curl_slist *headers,
                           size_t (*take)(char *bytes, size_t one, size_t size,
                                          void *ctx),
                           void *ctx);

#endif
