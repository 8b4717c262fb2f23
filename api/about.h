/*
 * about - what the node says about itself: a start page, its version and the
 * description of its interface.
 */
#ifndef KIST_API_ABOUT_H
#define KIST_API_ABOUT_H

struct request;

void about_start(struct request *request);       /* GET / */
void about_version(struct request *request);     /* GET /version */
void about_description(struct request *request); /* GET /openapi.yaml */

#endif
