/*
 * metrics_page - GET /metrics, in the text format that the scraper prefers.
 */
#ifndef KIST_API_METRICS_PAGE_H
#define KIST_API_METRICS_PAGE_H

#include "api/request.h"

/* The handler of the route. */
void metrics_page_get(struct request *request);

#endif
