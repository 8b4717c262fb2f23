/*
 * handlers - what the rows of the route table call for /kv, one file each.
 *
 * Each translates: request to writes, reads or scans; their outcome to one
 * reply. None decides: a write is decided by storage/decide.c, a patch by
 * api/json_merge_patch.c and api/json_patch.c when its turn has come.
 */
#ifndef KIST_API_HANDLERS_H
#define KIST_API_HANDLERS_H

#include "api/request.h"

void get_key(struct request *request);       /* api/get.c, HEAD too */
void put_key(struct request *request);       /* api/put.c */
bool put_admit(struct request *request);     /* the same: struct route */
void patch_key(struct request *request);     /* api/patch.c */
void operate_key(struct request *request);   /* api/operate.c */
void delete_key(struct request *request);    /* api/delete.c */
void list_keys(struct request *request);     /* api/list.c */
void delete_prefix(struct request *request); /* api/delete_prefix.c */
void batch_run(struct request *request);     /* api/batch.c */

#endif
