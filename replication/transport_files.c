/*
 * A job is a file that somebody wants. It waits, then a thread has it, then it
 * is gone, or if it failed stays until somebody has heard of that, or for
 * FAILED_MS. All of that is under one lock, which is never held while something
 * blocks.
 */
#include "replication/transport_files.h"

#include "base/clock.h"
#include "replication/transport_fetch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECE_MS = 5000, /* transport_files_read(), of each source. */
    FAILED_MS = 10000,
    ADDRESS_SIZE = 260,
    SPARES = 16,
    ARRIVED = 4096,
};

enum job_state { JOB_WAITING, JOB_RUNNING, JOB_SYNCING, JOB_FAILED };

struct source {
    char address[ADDRESS_SIZE];
};

struct file_job {
    struct file_job *next;
    struct large_reference file;
    unsigned count;
    struct source *sources;
    _Atomic uint64_t bytes;  /* So far. */
    enum job_state state;    /* These under the lock. */
    enum kist_status status; /* Why it failed, */
    uint64_t failed_ms;      /* and when. */
};

struct arrived {
    struct large_reference file;
    uint64_t at_ms;
};

struct transport_files {
    /* Set by transport_files_open(), then read-only. */
    struct transport_files_options options;
    char *secret;
    unsigned threads;
    pthread_t ids[TRANSPORT_FILES_THREADS];

    atomic_bool stopping;
    pthread_mutex_t lock; /* Guards the fields below, and jobs' states. */
    pthread_cond_t work;
    struct file_job *jobs; /* The oldest first. */
    unsigned count;
    struct arrived arrived[ARRIVED]; /* A ring: the oldest is the first. */
    unsigned first_arrived, arrived_count;
    struct transport_fetch *spare[SPARES]; /* For pieces. */
    unsigned spares;
};

static uint64_t now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

/* Fetching. */

static struct transport_fetch *new_fetch(const struct transport_files *files)
{
    struct transport_fetch_options options = {files->secret, &files->stopping};

    return transport_fetch_new(&options);
}

/* A file that comes. */
struct fetch {
    struct transport_files *files;
    struct file_job *job;
    struct transport_fetch *from;
    struct large_file *file;
    enum kist_status here; /* Of our own disk. */
};

static bool write_bytes(void *ctx, struct view bytes)
{
    struct fetch *fetch = ctx;

    if (bytes.size > fetch->job->file.size - large_size(fetch->file))
        return false;
    fetch->here = large_append(fetch->file, bytes);
    if (fetch->here != KIST_OK)
        return false;
    atomic_fetch_add(&fetch->job->bytes, bytes.size);
    counter_add(&fetch->files->options.stats->bytes, bytes.size);
    return true;
}

/* What is missing yet, as far as this source goes. */
static enum kist_status fetch_from(struct fetch *fetch, const char *address)
{
    struct transport_fetch_part part = {
        .address = address,
        .file = fetch->job->file,
        .first = large_size(fetch->file),
        .ctx = fetch,
        .take = write_bytes,
    };
    enum kist_status status = transport_fetch_get(fetch->from, &part);

    if (fetch->here != KIST_OK)
        return fetch->here;
    if (status == KIST_OK && large_size(fetch->file) < part.file.size)
        status = KIST_IO;
    return status;
}

static void set_state(struct transport_files *files, struct file_job *job,
                      enum job_state state)
{
    pthread_mutex_lock(&files->lock);
    job->state = state;
    pthread_mutex_unlock(&files->lock);
}

static enum kist_status put_into_place(struct fetch *fetch)
{
    set_state(fetch->files, fetch->job, JOB_SYNCING);
    return large_finish_as(fetch->file, &fetch->job->file);
}

/* Bytes that are not what they should be may be any source's: anew. */
static enum kist_status fetch_anew(struct fetch *fetch)
{
    large_discard(fetch->file);
    fetch->file = NULL;
    set_state(fetch->files, fetch->job, JOB_RUNNING);
    return large_create(fetch->files->options.large, fetch->job->file.size,
                        &fetch->file);
}

static enum kist_status fetch_from_all(struct fetch *fetch)
{
    const struct file_job *job = fetch->job;
    enum kist_status status = KIST_NOT_FOUND;

    for (unsigned i = 0; i < job->count; i++) {
        enum kist_status got = fetch_from(fetch, job->sources[i].address);

        if (fetch->here != KIST_OK)
            return fetch->here;
        if (got == KIST_OK)
            got = put_into_place(fetch);
        if (got == KIST_OK)
            return KIST_OK;
        if (got != KIST_NOT_FOUND)
            status = got;
        if (got == KIST_CORRUPT) {
            fetch->here = fetch_anew(fetch);
            if (fetch->here != KIST_OK)
                return fetch->here;
        }
    }
    return status;
}

static bool is_here(struct large *large, const struct large_reference *file)
{
    int descriptor;

    if (large_open_file(large, file, &descriptor) != KIST_OK)
        return false;
    close(descriptor);
    return true;
}

static enum kist_status run_job(struct transport_files *files,
                                struct file_job *job,
                                struct transport_fetch *from)
{
    struct fetch fetch = {.files = files, .job = job, .from = from};
    struct large *large = files->options.large;
    enum kist_status status;

    if (is_here(large, &job->file))
        return KIST_OK;
    status = large_create(large, job->file.size, &fetch.file);
    if (status == KIST_OK)
        status = fetch_from_all(&fetch);
    large_discard(fetch.file);
    counter_add(status == KIST_OK ? &files->options.stats->fetched
                                  : &files->options.stats->failed,
                1);
    return status;
}

/* Jobs. */

static void free_job(struct file_job *job)
{
    if (job != NULL)
        free(job->sources);
    free(job);
}

static void remove_locked(struct transport_files *files, struct file_job *job)
{
    struct file_job **at = &files->jobs;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    files->count--;
    free_job(job);
}

/* Failures that nobody asked for. */
static void forget_old_locked(struct transport_files *files)
{
    uint64_t at_ms = now_ms();
    struct file_job *next;

    for (struct file_job *job = files->jobs; job != NULL; job = next) {
        next = job->next;
        if (job->state == JOB_FAILED && at_ms - job->failed_ms > FAILED_MS)
            remove_locked(files, job);
    }
}

static struct file_job *waiting_locked(struct transport_files *files)
{
    struct file_job *job = files->jobs;

    while (job != NULL && job->state != JOB_WAITING)
        job = job->next;
    return job;
}

/* NULL: the threads are to end. */
static struct file_job *take_job(struct transport_files *files)
{
    struct file_job *job = NULL;

    pthread_mutex_lock(&files->lock);
    while (!atomic_load(&files->stopping) &&
           (job = waiting_locked(files)) == NULL)
        pthread_cond_wait(&files->work, &files->lock);
    if (job != NULL) {
        job->state = JOB_RUNNING;
        gauge_add(&files->options.stats->waiting, -1);
        gauge_add(&files->options.stats->running, 1);
    }
    pthread_mutex_unlock(&files->lock);
    return job;
}

static void note_arrived_locked(struct transport_files *files,
                                const struct large_reference *file)
{
    unsigned at = (files->first_arrived + files->arrived_count) % ARRIVED;

    if (files->arrived_count == ARRIVED)
        return;
    files->arrived[at] = (struct arrived){*file, now_ms()};
    files->arrived_count++;
}

bool transport_files_take_old(struct transport_files *files,
                              struct large_reference *out_file)
{
    const struct arrived *oldest;
    bool is_old;

    pthread_mutex_lock(&files->lock);
    oldest = &files->arrived[files->first_arrived];
    is_old = files->arrived_count > 0 &&
             now_ms() - oldest->at_ms >= files->options.kept_ms;
    if (is_old) {
        *out_file = oldest->file;
        files->first_arrived = (files->first_arrived + 1) % ARRIVED;
        files->arrived_count--;
    }
    pthread_mutex_unlock(&files->lock);
    return is_old;
}

static void end_job(struct transport_files *files, struct file_job *job,
                    enum kist_status status)
{
    pthread_mutex_lock(&files->lock);
    job->state = JOB_FAILED;
    job->status = status;
    job->failed_ms = now_ms();
    if (status == KIST_OK) {
        note_arrived_locked(files, &job->file);
        remove_locked(files, job);
    }
    gauge_add(&files->options.stats->running, -1);
    pthread_mutex_unlock(&files->lock);
}

static void *run(void *ctx)
{
    struct transport_files *files = ctx;
    struct transport_fetch *from = NULL;
    struct file_job *job;

    pthread_setname_np(pthread_self(), "kist-files");
    while ((job = take_job(files)) != NULL) {
        if (from == NULL)
            from = new_fetch(files);
        end_job(files, job,
                from == NULL ? KIST_NO_MEMORY : run_job(files, job, from));
    }
    transport_fetch_free(from);
    return NULL;
}

static struct file_job *find_locked(struct transport_files *files,
                                    const struct large_reference *file)
{
    struct file_job *job = files->jobs;

    while (job != NULL && !large_reference_same(&job->file, file))
        job = job->next;
    return job;
}

static bool copy_address(struct view address, struct source *out)
{
    if (address.size >= sizeof(out->address))
        return false;
    memcpy(out->address, address.data, address.size);
    out->address[address.size] = '\0';
    return true;
}

/* NULL: no memory. */
static struct file_job *new_job(const struct env_bring *bring)
{
    struct file_job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        return NULL;
    job->file = bring->file;
    job->sources = calloc(bring->count + 1, sizeof(*job->sources));
    if (job->sources == NULL) {
        free_job(job);
        return NULL;
    }
    for (unsigned i = 0; i < bring->count; i++)
        job->count +=
            copy_address(bring->sources[i].address, &job->sources[job->count]);
    return job;
}

static enum kist_status add_locked(struct transport_files *files,
                                   const struct env_bring *bring)
{
    struct file_job **end = &files->jobs;
    struct file_job *job;

    forget_old_locked(files);
    if (files->count == TRANSPORT_FILES_WAITING)
        return KIST_BUSY; /* Who asks again may find a place. */
    job = new_job(bring);
    if (job == NULL)
        return KIST_NO_MEMORY;
    while (*end != NULL)
        end = &(*end)->next;
    *end = job;
    files->count++;
    gauge_add(&files->options.stats->waiting, 1);
    pthread_cond_signal(&files->work);
    return KIST_BUSY;
}

/* What waits goes on with what comes for others; a sync, with the time. */
static uint64_t progress_locked(struct transport_files *files,
                                const struct file_job *job)
{
    if (job == NULL || job->state == JOB_WAITING)
        return counter_read(&files->options.stats->bytes);
    if (job->state == JOB_SYNCING)
        return atomic_load(&job->bytes) + now_ms() / 100;
    return atomic_load(&job->bytes);
}

enum kist_status transport_files_bring(struct transport_files *files,
                                       const struct env_bring *bring,
                                       uint64_t *out_progress)
{
    enum kist_status status = KIST_BUSY;
    struct file_job *job;

    if (atomic_load(&files->stopping))
        return KIST_STOPPING;
    pthread_mutex_lock(&files->lock);
    job = find_locked(files, &bring->file);
    *out_progress = progress_locked(files, job);
    if (job == NULL) {
        status = add_locked(files, bring);
    } else if (job->state == JOB_FAILED) {
        status = job->status;
        remove_locked(files, job);
    }
    pthread_mutex_unlock(&files->lock);
    return status;
}

/* Pieces. */

struct piece {
    char *room;
    size_t size, has;
};

static bool keep_bytes(void *ctx, struct view bytes)
{
    struct piece *piece = ctx;

    if (bytes.size > piece->size - piece->has)
        return false;
    memcpy(piece->room + piece->has, bytes.data, bytes.size);
    piece->has += bytes.size;
    return true;
}

/* NULL: no memory. */
static struct transport_fetch *take_spare(struct transport_files *files)
{
    struct transport_fetch *from = NULL;

    pthread_mutex_lock(&files->lock);
    if (files->spares > 0)
        from = files->spare[--files->spares];
    pthread_mutex_unlock(&files->lock);
    return from != NULL ? from : new_fetch(files);
}

static void give_spare(struct transport_files *files,
                       struct transport_fetch *from)
{
    pthread_mutex_lock(&files->lock);
    if (files->spares < SPARES) {
        files->spare[files->spares++] = from;
        from = NULL;
    }
    pthread_mutex_unlock(&files->lock);
    transport_fetch_free(from);
}

static enum kist_status read_from(struct transport_fetch *from,
                                  const struct env_source *source,
                                  struct transport_fetch_part *part)
{
    struct piece *piece = part->ctx;
    struct source at;
    enum kist_status status = KIST_IO;

    piece->has = 0;
    if (copy_address(source->address, &at)) {
        part->address = at.address;
        status = transport_fetch_get(from, part);
    }
    return status == KIST_OK && piece->has < piece->size ? KIST_IO : status;
}

enum kist_status transport_files_read(struct transport_files *files,
                                      const struct env_bring *bring,
                                      uint64_t offset, size_t size, char *room)
{
    struct piece piece = {.room = room, .size = size};
    struct transport_fetch_part part = {.file = bring->file,
                                        .first = offset,
                                        .count = size,
                                        .timeout_ms = PIECE_MS,
                                        .ctx = &piece,
                                        .take = keep_bytes};
    struct transport_fetch *from = take_spare(files);
    enum kist_status status = KIST_NOT_FOUND, got = status;

    if (from == NULL)
        return KIST_NO_MEMORY;
    for (unsigned i = 0; i < bring->count && got != KIST_OK; i++) {
        got = read_from(from, &bring->sources[i], &part);
        if (got != KIST_NOT_FOUND)
            status = got;
    }
    give_spare(files, from);
    return status;
}

/* From open to close. */

enum kist_status
transport_files_open(const struct transport_files_options *options,
                     struct transport_files **out_files)
{
    struct transport_files *files = calloc(1, sizeof(*files));
    enum kist_status status;

    if (files == NULL)
        return KIST_NO_MEMORY;
    files->options = *options;
    pthread_mutex_init(&files->lock, NULL);
    pthread_cond_init(&files->work, NULL);
    files->options.secret = NULL;
    files->secret = strdup(options->secret);
    status = files->secret != NULL ? KIST_OK : KIST_NO_MEMORY;
    while (status == KIST_OK && files->threads < TRANSPORT_FILES_THREADS) {
        if (pthread_create(&files->ids[files->threads], NULL, run, files) == 0)
            files->threads++;
        else
            status = KIST_IO;
    }
    if (status != KIST_OK) {
        transport_files_close(files);
        return status;
    }
    *out_files = files;
    return KIST_OK;
}

void transport_files_stop(struct transport_files *files)
{
    pthread_mutex_lock(&files->lock);
    atomic_store(&files->stopping, true);
    pthread_cond_broadcast(&files->work);
    pthread_mutex_unlock(&files->lock);
}

void transport_files_close(struct transport_files *files)
{
    if (files == NULL)
        return;
    transport_files_stop(files);
    while (files->threads > 0)
        pthread_join(files->ids[--files->threads], NULL);
    while (files->jobs != NULL)
        remove_locked(files, files->jobs); /* Nobody else is left. */
    while (files->spares > 0)
        transport_fetch_free(files->spare[--files->spares]);
    free(files->secret);
    pthread_cond_destroy(&files->work);
    pthread_mutex_destroy(&files->lock);
    free(files);
}
