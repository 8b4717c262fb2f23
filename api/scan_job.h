/*
 * scan_job - a scan on behalf of a request, slice by slice on the pool.
 *
 * Between two slices the job passes through its loop, so that long scans of
 * several requests take turns, and end when the node stops. A scan that only
 * reads ends as well, without finish(), when its client is gone.
 *
 * In a cluster a slice comes from all nodes, by way of the loop.
 */
#ifndef KIST_API_SCAN_JOB_H
#define KIST_API_SCAN_JOB_H

#include "api/request.h"
#include "api/scan_gather.h"
#include "storage/scan.h"

struct scan_job {
    struct request *request;
    struct scan scan;
    struct scan_visitor visitor; /* On a pool thread; in a cluster the loop. */
    bool enough; /* Set by the visitor that returns false: no more slices. */

    /*
     * On the loop, after the last slice: the range is done, the visitor
     * stopped (KIST_OK), or something failed.
     */
    void (*finish)(struct scan_job *job, enum kist_status status);

    /* The job's own. */
    struct loop_work work;
    struct scan_gather gather; /* In a cluster. */
    enum kist_status status;
};

/*
 * prefix, start, end, delimiter, reverse and cursor of the request make the
 * range. False: they are wrong, and that was the reply. The owner clears
 * job->scan in any case.
 */
KIST_CHECKED bool scan_job_init(struct scan_job *job, struct request *request,
                                void (*finish)(struct scan_job *job,
                                               enum kist_status status));

/* Run, or run on; finish is called later, or the refusal is the reply. */
void scan_job_run(struct scan_job *job);

/* As reply_status(); in a cluster it is nodes that were busy. */
void scan_job_reply_failed(struct scan_job *job, enum kist_status status,
                           const char *what);

/* The place of the scan as a cursor for the client. */
void scan_job_append_cursor(const struct scan_job *job, struct blob *out);

#endif
