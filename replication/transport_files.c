/*
 * A job is a file that somebody wants. It waits, then a thread has it, then it
 * is gone, or if it failed stays until somebody has heard of that, or for
 * FAILED_MS. All of that is under one lock, which is never held while something
 * blocks.
 */
#include "replication/transport_files.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECT_MS = 1000,
    SILENCE_S = 5,      /* Less than LEAST_BYTES a second for so long: over. */
    LEAST_BYTES = 1024, /* A second. */
    PIECE_MS = 5000,    /* transport_files_read(), of each source. */
    IDLE_S = 30,        /* An older connection is not used again. */
    BUFFER_BYTES = 256 << 10,
    FAILED_MS = 10000,
    URL_SIZE = 300,
    SPARE_HANDLES = 16,
};

enum job_state { JOB_WAITING, JOB_RUNNING, JOB_SYNCING, JOB_FAILED };

struct source {
    char address[URL_SIZE];
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

struct transport_files {
    /* Set by transport_files_open(), then read-only. */
    struct transport_files_options options;
    struct curl_slist *headers;
    unsigned threads;
    pthread_t ids[TRANSPORT_FILES_THREADS];

    atomic_bool stopping;
    pthread_mutex_t lock; /* Guards the fields below, and jobs' states. */
    pthread_cond_t work;
    struct file_job *jobs; /* The oldest first. */
    unsigned count;
    CURL *spare[SPARE_HANDLES]; /* For pieces, each with its connections. */
    unsigned spares;
};

static uint64_t now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

/* libcurl. */

/* CURLOPT_XFERINFOFUNCTION, at least once a second. */
static int on_progress(void *ctx, curl_off_t all, curl_off_t now,
                       curl_off_t up_all, curl_off_t up)
{
    const struct transport_files *files = ctx;

    (void)all, (void)now, (void)up_all, (void)up;
    return atomic_load(&files->stopping);
}

/* NULL: no memory. */
static CURL *new_handle(struct transport_files *files)
{
    CURL *easy = curl_easy_init();

    if (easy == NULL)
        return NULL;
    CURLcode results[] = {
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, files->headers),
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L),
        curl_easy_setopt(easy, CURLOPT_PROXY, ""),
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http"),
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                         (long)CURL_HTTP_VERSION_1_1),
        curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L),
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS),
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)LEAST_BYTES),
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S),
        curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_S),
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES),
        curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L),
        curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress),
        curl_easy_setopt(easy, CURLOPT_XFERINFODATA, files),
    };

    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i] != CURLE_OK) {
            curl_easy_cleanup(easy);
            return NULL;
        }
    return easy;
}

static bool set_url(CURL *easy, const char *address,
                    const struct large_reference *file)
{
    struct blob bytes = BLOB_EMPTY, url = BLOB_EMPTY;
    bool made;

    large_reference_encode(file, &bytes);
    blob_printf(&url, "http://%s/peer/1/file/", address);
    for (size_t i = 0; i < bytes.size; i++)
        blob_printf(&url, "%02x", (unsigned char)bytes.data[i]);
    blob_append_byte(&url, '\0');
    made = !bytes.failed && !url.failed &&
           curl_easy_setopt(easy, CURLOPT_URL, url.data) == CURLE_OK;
    blob_free(&bytes);
    blob_free(&url);
    return made;
}

/* From first on; count 0: to the end. */
static bool set_range(CURL *easy, uint64_t first, uint64_t count)
{
    char range[64];

    if (count == 0 && first == 0)
        return curl_easy_setopt(easy, CURLOPT_RANGE, NULL) == CURLE_OK;
    if (count == 0)
        snprintf(range, sizeof(range), "%llu-", (unsigned long long)first);
    else
        snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)first,
                 (unsigned long long)(first + count - 1));
    return curl_easy_setopt(easy, CURLOPT_RANGE, range) == CURLE_OK;
}

/* The answer has to be what was asked for: all, or the part. */
static enum kist_status perform(CURL *easy, long wanted)
{
    CURLcode result = curl_easy_perform(easy);
    long code = 0;

    if (curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code) != CURLE_OK)
        return KIST_IO;
    if (code == 404)
        return KIST_NOT_FOUND;
    return result == CURLE_OK && code == wanted ? KIST_OK : KIST_IO;
}

/* Fetching. */

struct fetch {
    struct transport_files *files;
    struct file_job *job;
    CURL *easy;
    struct large_file *file;
    long wanted;           /* The status of an answer that is taken. */
    enum kist_status here; /* Of our own disk. */
};

/* CURLOPT_WRITEFUNCTION */
static size_t on_bytes(char *bytes, size_t one, size_t size, void *ctx)
{
    struct fetch *fetch = ctx;
    long code = 0;

    (void)one; /* Is 1, says libcurl. */
    if (curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &code) !=
            CURLE_OK ||
        code != fetch->wanted ||
        size > fetch->job->file.size - large_size(fetch->file))
        return 0;
    fetch->here = large_append(fetch->file, (struct view){bytes, size});
    if (fetch->here != KIST_OK)
        return 0;
    atomic_fetch_add(&fetch->job->bytes, size);
    counter_add(&fetch->files->options.stats->bytes, size);
    return size;
}

/* What is missing yet, as far as this source goes. */
static enum kist_status fetch_from(struct fetch *fetch, const char *address)
{
    uint64_t has = large_size(fetch->file);
    CURL *easy = fetch->easy;

    fetch->wanted = has > 0 ? 206 : 200;
    if (!set_url(easy, address, &fetch->job->file) ||
        !set_range(easy, has, 0) ||
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch) != CURLE_OK)
        return KIST_NO_MEMORY;

    enum kist_status status = perform(easy, fetch->wanted);

    if (fetch->here != KIST_OK)
        return fetch->here;
    if (status == KIST_OK && large_size(fetch->file) < fetch->job->file.size)
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
                                struct file_job *job, CURL *easy)
{
    struct fetch fetch = {.files = files, .job = job, .easy = easy};
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

static void end_job(struct transport_files *files, struct file_job *job,
                    enum kist_status status)
{
    pthread_mutex_lock(&files->lock);
    job->state = JOB_FAILED;
    job->status = status;
    job->failed_ms = now_ms();
    if (status == KIST_OK)
        remove_locked(files, job);
    gauge_add(&files->options.stats->running, -1);
    pthread_mutex_unlock(&files->lock);
}

static void *run(void *ctx)
{
    struct transport_files *files = ctx;
    CURL *easy = new_handle(files);
    struct file_job *job;

    pthread_setname_np(pthread_self(), "kist-files");
    while ((job = take_job(files)) != NULL) {
        if (easy == NULL)
            easy = new_handle(files);
        end_job(files, job,
                easy == NULL ? KIST_NO_MEMORY : run_job(files, job, easy));
    }
    curl_easy_cleanup(easy);
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
    CURL *easy;
    char *room;
    size_t size, has;
};

/* CURLOPT_WRITEFUNCTION */
static size_t on_piece(char *bytes, size_t one, size_t size, void *ctx)
{
    struct piece *piece = ctx;

    (void)one;
    if (size > piece->size - piece->has)
        return 0;
    memcpy(piece->room + piece->has, bytes, size);
    piece->has += size;
    return size;
}

static CURL *take_handle(struct transport_files *files)
{
    CURL *easy = NULL;

    pthread_mutex_lock(&files->lock);
    if (files->spares > 0)
        easy = files->spare[--files->spares];
    pthread_mutex_unlock(&files->lock);
    return easy != NULL ? easy : new_handle(files);
}

static void keep_handle(struct transport_files *files, CURL *easy)
{
    pthread_mutex_lock(&files->lock);
    if (files->spares < SPARE_HANDLES) {
        files->spare[files->spares++] = easy;
        easy = NULL;
    }
    pthread_mutex_unlock(&files->lock);
    curl_easy_cleanup(easy);
}

static enum kist_status read_from(struct piece *piece, const char *address,
                                  const struct large_reference *file,
                                  uint64_t offset)
{
    enum kist_status status = KIST_NO_MEMORY;

    piece->has = 0;
    if (set_url(piece->easy, address, file) &&
        set_range(piece->easy, offset, piece->size))
        status = perform(piece->easy, 206);
    if (status == KIST_OK && piece->has < piece->size)
        status = KIST_IO;
    return status;
}

static enum kist_status
read_piece(struct piece *piece, const struct env_bring *bring, uint64_t offset)
{
    enum kist_status status = KIST_NOT_FOUND;
    struct source source;

    if (curl_easy_setopt(piece->easy, CURLOPT_WRITEFUNCTION, on_piece) !=
            CURLE_OK ||
        curl_easy_setopt(piece->easy, CURLOPT_WRITEDATA, piece) != CURLE_OK ||
        curl_easy_setopt(piece->easy, CURLOPT_TIMEOUT_MS, (long)PIECE_MS) !=
            CURLE_OK)
        return KIST_NO_MEMORY;
    for (unsigned i = 0; i < bring->count; i++) {
        enum kist_status got = KIST_IO;

        if (copy_address(bring->sources[i].address, &source))
            got = read_from(piece, source.address, &bring->file, offset);
        if (got == KIST_OK)
            return KIST_OK;
        if (got != KIST_NOT_FOUND)
            status = got;
    }
    return status;
}

enum kist_status transport_files_read(struct transport_files *files,
                                      const struct env_bring *bring,
                                      uint64_t offset, size_t size, char *room)
{
    struct piece piece = {.room = room, .size = size};
    enum kist_status status;

    if (atomic_load(&files->stopping))
        return KIST_STOPPING;
    piece.easy = take_handle(files);
    if (piece.easy == NULL)
        return KIST_NO_MEMORY;
    status = read_piece(&piece, bring, offset);
    keep_handle(files, piece.easy);
    return status;
}

/* From open to close. */

static enum kist_status set_headers(struct transport_files *files)
{
    struct blob line = BLOB_EMPTY;
    bool made;

    if (files->options.secret[0] == '\0')
        return KIST_OK;
    blob_printf(&line, "Authorization: Bearer %s", files->options.secret);
    blob_append_byte(&line, '\0');
    if (!line.failed)
        files->headers = curl_slist_append(NULL, line.data);
    made = files->headers != NULL;
    blob_free(&line);
    return made ? KIST_OK : KIST_NO_MEMORY;
}

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
    status = set_headers(files);
    files->options.secret = NULL; /* The header has it. */
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
        curl_easy_cleanup(files->spare[--files->spares]);
    curl_slist_free_all(files->headers);
    pthread_cond_destroy(&files->work);
    pthread_mutex_destroy(&files->lock);
    free(files);
}
