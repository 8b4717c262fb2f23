/*
 * json_page - a JSON document about the node, as the whole of an answer.
 */
#ifndef KIST_API_JSON_PAGE_H
#define KIST_API_JSON_PAGE_H

#include "base/bytes.h"

#include <jansson.h>

struct request;

/* Takes document; NULL: no memory, which is answered. It is not cached. */
void json_page_reply(struct request *request, unsigned code, json_t *document);

/* Numbers of 64 bits as JSON's readers keep them: hex digits. NULL as ever. */
json_t *json_page_hex(uint64_t number);

json_t *json_page_text(struct view text);

#endif
