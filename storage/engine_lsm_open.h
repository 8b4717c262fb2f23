/*
 * engine_lsm_open - how LevelDB and RocksDB are opened; the second half of
 * storage/engine_lsm.h.
 *
 * Before every open the logs are read by storage/wal_check.c, because both
 * libraries drop some kinds of damage in silence, and after every orderly
 * close they are sealed.
 */
#ifndef KIST_STORAGE_ENGINE_LSM_OPEN_H
#define KIST_STORAGE_ENGINE_LSM_OPEN_H

#include "storage/engine_lsm.h"

#include "storage/small_file.h"
#include "storage/wal_mend.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is defined by the file that includes this one. */

/* Fills in what is left: owner, name, options, cache, filter. */
static void set_options(struct lsm *it, const struct engine_options *options);

/* Whether recovery shall drop what is damaged in the logs, or refuse. */
static void set_dropping(struct lsm *it, bool dropping);

static LSM(readoptions_t) *new_reads(bool fill_cache)
{
    LSM(readoptions_t) *reads = LSM(readoptions_create)();

    LSM(readoptions_set_verify_checksums)(reads, 1);
    LSM(readoptions_set_fill_cache)(reads, fill_cache);
    return reads;
}

static struct lsm *new_engine(const struct engine_ops *ops,
                              const struct engine_options *options)
{
    size_t room = strlen(options->path) + 1;
    struct lsm *it = calloc(1, sizeof(*it) + room);

    if (it == NULL)
        return NULL;
    memcpy(it->path, options->path, room);
    it->base.ops = ops;
    it->lookups = new_reads(true);
    it->scans = new_reads(false);
    for (size_t i = 0; i <= ENGINE_SYNC; i++)
        it->writes[i] = LSM(writeoptions_create)();
    LSM(writeoptions_set_sync)(it->writes[ENGINE_SYNC], 1);
    it->batch = LSM(writebatch_create)();
    it->options = LSM(options_create)();
    set_options(it, options);
    return it;
}

/*
 * Recovery takes a short read for the end of the log, so no signal may
 * interrupt it. Threads born in here keep the mask.
 */
static LSM(t) *open_undisturbed(const struct lsm *it, const char *path,
                                char **failure)
{
    sigset_t all, before;
    LSM(t) *db;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    db = LSM(open)(it->options, path, failure);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return db;
}

static enum kist_status open_db(struct lsm *it, struct engine_fault *out_fault)
{
    char *failure = NULL;

    it->db = open_undisturbed(it, it->path, &failure);
    if (failure != NULL)
        engine_fault_set(out_fault, "%s cannot open %s: %s%s", it->name,
                         it->path, failure,
                         engine_failure_status(failure) == KIST_CORRUPT
                             ? "; restore a backup"
                             : "");
    return status_of(failure);
}

/*
 * Once so that recovery drops what the check has found and writes the rest
 * into tables; then as always.
 */
static enum kist_status open_dropping(struct lsm *it,
                                      struct engine_fault *out_fault)
{
    enum kist_status status;

    set_dropping(it, true);
    status = open_db(it, out_fault);
    set_dropping(it, false);
    if (status != KIST_OK)
        return status;
    close_db(it);
    return open_db(it, out_fault);
}

static bool may_open(const struct wal_verdict *verdict, bool accept_data_loss)
{
    switch (verdict->damage) {
    case WAL_WHOLE:
    case WAL_TORN_TAIL:
        return true;
    case WAL_DATA_LOST:
        return accept_data_loss;
    case WAL_UNREADABLE:
        return false;
    }
    return false;
}

/* Nothing is lost by it: the entry never took effect. */
static void mend_manifest(const struct lsm *it, struct wal_verdict *verdict)
{
    int directory = open(it->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum kist_status status = KIST_IO;
    struct wal_verdict mended;
    char name[40];

    snprintf(name, sizeof(name), "MANIFEST-%06" PRIu64, verdict->manifest);
    if (directory >= 0)
        status =
            wal_mend_manifest(directory, name, verdict->manifest_damage_at);
    if (status == KIST_OK)
        status = wal_check(it->path, it->owner, &mended);
    if (status == KIST_OK && mended.damage <= WAL_TORN_TAIL) {
        *verdict = mended;
        engine_fault_set(&verdict->fault,
                         "an entry that a failed write had cut off was taken "
                         "out of %s/%s; all data is there",
                         it->path, name);
    }
    if (directory >= 0)
        close(directory);
}

static enum kist_status check_logs(const struct lsm *it,
                                   struct wal_verdict *verdict)
{
    enum kist_status status = wal_check(it->path, it->owner, verdict);

    if (status == KIST_OK && it->owner == WAL_OF_LEVELDB &&
        verdict->damage == WAL_UNREADABLE && verdict->manifest_may_be_cut)
        mend_manifest(it, verdict);
    return status;
}

static enum kist_status open_checked(struct lsm *it, bool accept_data_loss,
                                     struct engine_fault *out_fault)
{
    struct wal_verdict verdict;
    enum kist_status status = check_logs(it, &verdict);

    if (status != KIST_OK) {
        engine_fault_set(out_fault, "cannot check the logs in %s: %s", it->path,
                         kist_status_name(status));
        return status;
    }
    if (!may_open(&verdict, accept_data_loss)) {
        *out_fault = verdict.fault;
        return KIST_CORRUPT;
    }
    status = open_db(it, out_fault);
    /* Most torn tails are taken as they are; some are called corruption. */
    if (status == KIST_CORRUPT && verdict.damage != WAL_WHOLE)
        status = open_dropping(it, out_fault);
    if (status == KIST_OK)
        *out_fault = verdict.fault;
    return status;
}

/* LevelDB, at least, renames CURRENT without syncing the directory behind it.
 */
static enum kist_status sync_names(const struct lsm *it,
                                   struct engine_fault *out_fault)
{
    int directory = open(it->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum kist_status status = KIST_IO;

    if (directory >= 0 && fsync(directory) == 0)
        status = small_file_sync_parent(directory);
    if (status != KIST_OK)
        engine_fault_set(out_fault, "cannot sync the directory %s: %s",
                         it->path, strerror(errno));
    if (directory >= 0)
        close(directory);
    return status;
}

static enum kist_status make_directory(const char *path,
                                       struct engine_fault *out_fault)
{
    int error;

    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return KIST_OK;
    error = errno;
    engine_fault_set(out_fault, "cannot create %s: %s", path, strerror(error));
    return error == ENOSPC || error == EDQUOT ? KIST_DISK_FULL : KIST_IO;
}

static enum kist_status open_lsm(const struct engine_ops *ops,
                                 const struct engine_options *options,
                                 struct engine_fault *out_fault,
                                 struct engine **out_engine)
{
    struct lsm *it;
    enum kist_status status;

    out_fault->text[0] = '\0';
    status = make_directory(options->path, out_fault);
    if (status != KIST_OK)
        return status;
    it = new_engine(ops, options);
    if (it == NULL)
        return KIST_NO_MEMORY;

    status = open_checked(it, options->accept_data_loss, out_fault);
    if (status == KIST_OK)
        status = sync_names(it, out_fault);
    if (status != KIST_OK) {
        free_engine(it);
        return status;
    }
    *out_engine = &it->base;
    return KIST_OK;
}

#endif
