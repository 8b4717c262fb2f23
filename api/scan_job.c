#include "api/scan_job.h"

#include "api/api.h"
#include "api/base64.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "api/router.h"
#include "base/clock.h"
#include "base/owner.h"

/* A slice holds a cursor, which holds off a reopen: some milliseconds. */
#define SLICE_STEPS 10000

/* Bounds longer than any key plus its successor cannot be ours. */
#define BOUND_MAX (STORE_KEY_MAX + 1)

static struct scan_job *of_work(struct loop_work *work)
{
    return OWNER(work, struct scan_job, work);
}

static void run_slice(struct loop_work *work)
{
    struct scan_job *job = of_work(work);

    job->status =
        scan_run(&job->scan, &job->visitor, clock_wall_ms(), SLICE_STEPS);
}

/* Writes go on: nobody would know how far they came. */
static bool is_deserted(const struct request *request)
{
    return (request->route->rules & ROUTE_WRITES) == 0 &&
           request_is_deserted(request);
}

static void go_on(struct scan_job *job)
{
    if (job->status == KIST_OK && !job->scan.done && !job->enough) {
        if (is_deserted(job->request)) {
            reply_nothing(job->request);
            return;
        }
        if (!atomic_load(&job->request->api->stopping)) {
            scan_job_run(job);
            return;
        }
        job->status = KIST_STOPPING;
    }
    job->finish(job, job->status);
}

static void slice_done(struct loop_work *work)
{
    go_on(of_work(work));
}

static void gathered(struct scan_gather *gather, enum kist_status status)
{
    struct scan_job *job = OWNER(gather, struct scan_job, gather);

    job->status = status;
    go_on(job);
}

static enum kist_status start(struct scan_job *job)
{
    if (job->request->api_loop->seat == NULL) {
        job->scan.expected = job->gather.limit;
        job->scan.values = job->gather.values;
        job->work = (struct loop_work){.run = run_slice, .done = slice_done};
        return loop_work(job->request->loop, &job->work);
    }
    job->gather.scan = &job->scan;
    job->gather.visitor = &job->visitor;
    job->gather.done = gathered;
    return scan_gather_start(&job->gather);
}

void scan_job_run(struct scan_job *job)
{
    enum kist_status status;

    job->enough = false;
    status = start(job);
    if (status != KIST_OK)
        job->finish(job, status);
}

void scan_job_reply_failed(struct scan_job *job, enum kist_status status,
                           const char *what)
{
    const struct copies *copies = &job->gather.copies;

    if (job->request->api_loop->seat == NULL || status != KIST_BUSY) {
        reply_status(job->request, status, what);
        return;
    }
    reply_problem(job->request, PROBLEM_TOO_FEW,
                  "%s: of the %u nodes that have each key, r=%u must answer, "
                  "and for some keys too few did. Try again, or with a smaller "
                  "r.",
                  what, copies->n, copies->r);
}

static bool has_key_bytes(struct view bound)
{
    for (size_t i = 0; i < bound.size; i++)
        if ((unsigned char)bound.data[i] < ' ' || bound.data[i] == 0x7F)
            return false;
    return view_is_utf8(bound);
}

static bool bound_fits(struct request *request, enum parameter parameter)
{
    struct view bound = request->parameters[parameter];

    if (!has_key_bytes(bound)) {
        reply_problem(request, PROBLEM_INVALID_PARAMETER,
                      "%s holds control bytes or is not UTF-8, as no key is.",
                      parameter_name(parameter));
        return false;
    }
    if (bound.size <= STORE_KEY_MAX)
        return true;
    reply_member_number(request, "limit", STORE_KEY_MAX);
    reply_problem(request, PROBLEM_INVALID_PARAMETER,
                  "%s has more than %d bytes, as no key has.",
                  parameter_name(parameter), STORE_KEY_MAX);
    return false;
}

static bool delimiter_fits(struct request *request)
{
    struct view delimiter = request->parameters[PARAMETER_DELIMITER];

    if (delimiter.data == NULL || delimiter.size > 0)
        return bound_fits(request, PARAMETER_DELIMITER);
    reply_problem(request, PROBLEM_INVALID_PARAMETER,
                  "delimiter takes at least one character, such as /.");
    return false;
}

static bool resume(struct scan_job *job)
{
    struct request *request = job->request;
    struct view cursor = request->parameters[PARAMETER_CURSOR];
    struct blob position = BLOB_EMPTY;
    enum kist_status status = KIST_OK;

    if (cursor.data == NULL)
        return true;
    if (!base64_decode(cursor, BASE64_URL, &position) || position.size == 0 ||
        position.size > BOUND_MAX) {
        blob_free(&position);
        reply_problem(request, PROBLEM_INVALID_PARAMETER,
                      "cursor takes the value of \"next\" from the page "
                      "before, with the same other parameters.");
        return false;
    }
    status = scan_resume(&job->scan, blob_view(&position));
    blob_free(&position);
    if (status != KIST_OK)
        reply_status(request, status, "The keys were not listed");
    return status == KIST_OK;
}

bool scan_job_init(struct scan_job *job, struct request *request,
                   void (*finish)(struct scan_job *job,
                                  enum kist_status status))
{
    struct scan_range range = {
        .prefix = request->parameters[PARAMETER_PREFIX],
        .start = request->parameters[PARAMETER_START],
        .end = request->parameters[PARAMETER_END],
        .delimiter = request->parameters[PARAMETER_DELIMITER],
    };
    enum kist_status status;

    job->request = request;
    job->finish = finish;
    if (request->api_loop->seat != NULL &&
        !scan_gather_init(&job->gather, request))
        return false;
    if (!bound_fits(request, PARAMETER_PREFIX) ||
        !bound_fits(request, PARAMETER_START) ||
        !bound_fits(request, PARAMETER_END) || !delimiter_fits(request) ||
        !preconditions_switch(request, PARAMETER_REVERSE, &range.reverse))
        return false;
    status = scan_init(&job->scan, request->api->store, &range);
    if (status != KIST_OK) {
        reply_status(request, status, "The keys were not listed");
        return false;
    }
    if (request->api->redis != NULL)
        job->scan.source = request->api->redis->scans;
    return resume(job);
}

void scan_job_append_cursor(const struct scan_job *job, struct blob *out)
{
    base64_append(out, scan_position(&job->scan), BASE64_URL);
}
