#include "storage/wal_check.h"

#include "storage/small_file.h"
#include "storage/wal.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESTORE "restore a backup"
#define ACCEPT  "or start once with --accept-data-loss to go on without them"

enum { NAME_ROOM = 64 };

/* The directory as its file names tell it. */
struct listing {
    uint64_t *logs; /* Ascending. */
    size_t log_count;
    bool has_tables;
};

struct check {
    const char *path;
    enum wal_owner owner;
    int directory;
    struct listing listing;
    bool has_seal;
    struct wal_seal seal;
    struct wal_verdict *verdict;

    bool has_manifest;
    uint64_t manifest;
    uint64_t first_log; /* Older ones are in tables already. */

    /* Over the logs, in order. */
    bool has_sequence;
    uint64_t next_sequence;
    uint64_t present_log;
    bool damaged;
    uint64_t damaged_log, damage_at; /* The first. */
    bool seal_broken;
};

static void log_name(char name[NAME_ROOM], uint64_t number)
{
    snprintf(name, NAME_ROOM, "%06" PRIu64 ".log", number);
}

static void manifest_name(char name[NAME_ROOM], uint64_t number)
{
    snprintf(name, NAME_ROOM, "MANIFEST-%06" PRIu64, number);
}

/* The number in a name like 000005.log. */
static bool numbered(const char *name, const char *ending, uint64_t *out_number)
{
    const char *dot = strchr(name, '.');

    return dot != NULL && strcmp(dot, ending) == 0 &&
           view_to_u64((struct view){name, (size_t)(dot - name)}, out_number);
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

static enum kist_status add_log(struct listing *listing, uint64_t number)
{
    size_t size = (listing->log_count + 1) * sizeof(*listing->logs);
    uint64_t *logs = realloc(listing->logs, size);

    if (logs == NULL)
        return KIST_NO_MEMORY;
    listing->logs = logs;
    logs[listing->log_count++] = number;
    return KIST_OK;
}

static enum kist_status list(const char *path, struct listing *listing)
{
    enum kist_status status = KIST_OK;
    DIR *directory = opendir(path);
    struct dirent *entry;
    uint64_t number;

    if (directory == NULL)
        return KIST_IO;
    while (status == KIST_OK && (entry = readdir(directory)) != NULL) {
        if (numbered(entry->d_name, ".log", &number))
            status = add_log(listing, number);
        else if (numbered(entry->d_name, ".ldb", &number) ||
                 numbered(entry->d_name, ".sst", &number))
            listing->has_tables = true;
    }
    closedir(directory);
    if (listing->log_count > 0)
        qsort(listing->logs, listing->log_count, sizeof(*listing->logs),
              compare_numbers);
    return status;
}

static bool has_log(const struct check *check, uint64_t number)
{
    for (size_t i = 0; i < check->listing.log_count; i++)
        if (check->listing.logs[i] == number)
            return true;
    return false;
}

/* The worst verdict stays, with the text that came with it. */
static bool worsens(struct check *check, enum wal_damage damage)
{
    if (damage <= check->verdict->damage)
        return false;
    check->verdict->damage = damage;
    return true;
}

/* The MANIFEST that CURRENT names. */
static enum kist_status read_current(struct check *check)
{
    struct blob text = BLOB_EMPTY;
    enum kist_status status =
        small_file_read(check->directory, "CURRENT", &text);
    struct view name = blob_view(&text);

    if (status == KIST_NOT_FOUND) {
        if ((check->listing.has_tables || check->listing.log_count > 0) &&
            worsens(check, WAL_UNREADABLE))
            engine_fault_set(&check->verdict->fault,
                             "%s/CURRENT is missing although data files are "
                             "there; " RESTORE,
                             check->path);
        status = KIST_OK;
    } else if (status == KIST_OK || status == KIST_TOO_LARGE) {
        check->has_manifest =
            name.size > 10 && name.data[name.size - 1] == '\n' &&
            view_starts_with(name, VIEW_LITERAL("MANIFEST-")) &&
            view_to_u64((struct view){name.data + 9, name.size - 10},
                        &check->manifest);
        if (!check->has_manifest && worsens(check, WAL_UNREADABLE))
            engine_fault_set(&check->verdict->fault,
                             "%s/CURRENT is damaged; " RESTORE, check->path);
        status = KIST_OK;
    }
    blob_free(&text);
    return status;
}

/* LevelDB's variable-length integer: seven bits a byte, the low ones first. */
static bool take_varint(struct view *bytes, uint64_t *out_number)
{
    uint64_t number = 0;

    for (unsigned shift = 0; bytes->size > 0 && shift < 64; shift += 7) {
        unsigned char byte = (unsigned char)bytes->data[0];

        *bytes = view_from(*bytes, 1);
        number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out_number = number;
            return true;
        }
    }
    return false;
}

enum edit_tag {
    EDIT_COMPARATOR = 1,
    EDIT_FIRST_LOG = 2,
    EDIT_IDENTITY = (1 << 13) + 1, /* RocksDB's alone. */
};

/*
 * An edit begins with the names of the database and of the comparator, if at
 * all, and then the number of the first log it does not cover, if at all.
 */
static bool visit_edit(void *ctx, const struct wal_record *record)
{
    struct check *check = ctx;
    struct view edit = record->bytes;
    uint64_t tag, number;

    if (record->behind > 0 || !take_varint(&edit, &tag))
        return true;
    while (tag == EDIT_IDENTITY || tag == EDIT_COMPARATOR) {
        if (!take_varint(&edit, &number) || number > edit.size)
            return true;
        edit = view_from(edit, (size_t)number);
        if (!take_varint(&edit, &tag))
            return true;
    }
    if (tag == EDIT_FIRST_LOG && take_varint(&edit, &number))
        check->first_log = number;
    return true;
}

static bool breaks_seal(const struct wal_survey *survey, uint64_t sealed_size)
{
    return survey->size != sealed_size || survey->damage_at != survey->size;
}

static enum kist_status check_manifest(struct check *check)
{
    struct wal_visitor visitor = {check, visit_edit};
    struct wal_survey survey = {0};
    char name[NAME_ROOM];
    enum kist_status status;
    bool broken, is_sealed;

    manifest_name(name, check->manifest);
    status = wal_survey(check->directory, name, &visitor, &survey);
    if (status != KIST_OK && status != KIST_NOT_FOUND)
        return status;

    broken = status == KIST_NOT_FOUND || survey.records == 0 ||
             survey.records_after > 0;
    is_sealed = check->has_seal && check->seal.manifest == check->manifest;
    if (is_sealed)
        broken = broken || breaks_seal(&survey, check->seal.manifest_size);
    if (broken && worsens(check, WAL_UNREADABLE)) {
        check->verdict->manifest = check->manifest;
        check->verdict->manifest_damage_at = survey.damage_at;
        check->verdict->manifest_may_be_cut =
            survey.records_after > 0 && !is_sealed;
        engine_fault_set(&check->verdict->fault,
                         "%s/%s, the list of the data files, is %s; " RESTORE,
                         check->path, name,
                         status == KIST_OK ? "damaged" : "missing");
    }
    return KIST_OK;
}

static void check_log_exists(struct check *check, uint64_t number)
{
    char name[NAME_ROOM];

    log_name(name, number);
    if (!has_log(check, number) && worsens(check, WAL_DATA_LOST))
        engine_fault_set(&check->verdict->fault,
                         "the log %s/%s is missing, and the newest writes "
                         "with it; " RESTORE ", " ACCEPT,
                         check->path, name);
}

/*
 * LevelDB names a log that exists. RocksDB names the next number after those
 * it has taken over, and its new log may have a higher one; but it has one
 * before it writes a MANIFEST other than the first.
 */
static void check_first_log_exists(struct check *check)
{
    const struct listing *listing = &check->listing;
    bool has_newer = listing->log_count > 0 &&
                     listing->logs[listing->log_count - 1] >= check->first_log;

    switch (check->owner) {
    case WAL_OF_LEVELDB:
        if (check->first_log != 0)
            check_log_exists(check, check->first_log);
        break;
    case WAL_OF_ROCKSDB:
        if (check->manifest > 1 && !has_newer)
            check_log_exists(check, check->first_log);
        break;
    }
}

static uint64_t read_little(const char *at, unsigned size)
{
    uint64_t number = 0;

    while (size-- > 0)
        number = number << 8 | (unsigned char)at[size];
    return number;
}

static void note_damage(struct check *check, uint64_t at)
{
    if (check->damaged)
        return;
    check->damaged = true;
    check->damaged_log = check->present_log;
    check->damage_at = at;
}

/*
 * Could this one follow, with writes lost before it? An operation takes two
 * bytes at least, so no more of them than bytes are missing.
 */
static bool may_follow(const struct check *check, uint64_t sequence,
                       uint64_t behind)
{
    uint64_t limit = check->damaged ? UINT64_MAX : behind;

    return !check->has_sequence || (sequence >= check->next_sequence &&
                                    sequence - check->next_sequence <= limit);
}

/*
 * A batch: its first sequence number 8, its count of operations 4, then they.
 * The logs that are there at any time have all numbers without a gap, so a
 * gap is a loss, too.
 */
static bool visit_batch(void *ctx, const struct wal_record *record)
{
    struct check *check = ctx;
    uint64_t sequence;

    if (record->bytes.size < 12)
        return false;
    sequence = read_little(record->bytes.data, 8);
    if (record->behind == 0 && check->has_sequence &&
        sequence != check->next_sequence)
        note_damage(check, record->at);
    if (record->behind == 0 && !check->damaged) {
        check->verdict->records_before++;
        check->has_sequence = true;
        check->next_sequence =
            sequence + read_little(record->bytes.data + 8, 4);
        return true;
    }
    if (!may_follow(check, sequence, record->behind))
        return false;
    check->verdict->records_after++;
    return true;
}

static enum kist_status check_log(struct check *check, uint64_t number)
{
    struct wal_visitor visitor = {check, visit_batch};
    const struct wal_seal *seal = &check->seal;
    struct wal_survey survey;
    char name[NAME_ROOM];
    enum kist_status status;

    check->present_log = number;
    log_name(name, number);
    status = wal_survey(check->directory, name, &visitor, &survey);
    if (status != KIST_OK)
        return status;

    check->verdict->damaged_bytes += survey.damaged_bytes;
    if (survey.damage_at < survey.size)
        note_damage(check, survey.damage_at);
    if (check->has_seal && number <= seal->log)
        check->seal_broken = check->damaged || (number == seal->log &&
                                                survey.size != seal->log_size);
    return KIST_OK;
}

static enum kist_status check_logs(struct check *check)
{
    enum kist_status status = KIST_OK;

    check_first_log_exists(check);
    if (check->has_seal && check->seal.log >= check->first_log)
        check_log_exists(check, check->seal.log);
    for (size_t i = 0; i < check->listing.log_count; i++) {
        uint64_t number = check->listing.logs[i];

        if (number >= check->first_log && status == KIST_OK)
            status = check_log(check, number);
    }
    return status;
}

static void judge_logs(struct check *check)
{
    const struct wal_verdict *verdict = check->verdict;
    struct engine_fault *fault = &check->verdict->fault;
    uint64_t number = check->damaged ? check->damaged_log : check->seal.log;
    char name[NAME_ROOM];

    log_name(name, number);
    if (verdict->records_after > 0) {
        if (worsens(check, WAL_DATA_LOST))
            engine_fault_set(
                fault,
                "the log %s/%s is damaged at byte %" PRIu64 ": %" PRIu64
                " whole writes before, %" PRIu64 " bytes damaged, %" PRIu64
                " whole writes after, so acknowledged writes are "
                "lost; " RESTORE ", " ACCEPT,
                check->path, name, check->damage_at, verdict->records_before,
                verdict->damaged_bytes, verdict->records_after);
    } else if (check->seal_broken) {
        if (worsens(check, WAL_DATA_LOST))
            engine_fault_set(
                fault,
                "the log %s/%s was closed in good order with %" PRIu64
                " bytes and has been damaged or cut since: %" PRIu64
                " whole writes are left, %" PRIu64 " bytes damaged; " RESTORE
                ", " ACCEPT,
                check->path, name, check->seal.log_size,
                verdict->records_before, verdict->damaged_bytes);
    } else if (check->damaged && worsens(check, WAL_TORN_TAIL)) {
        engine_fault_set(fault,
                         "the last write in the log %s/%s was cut off at byte "
                         "%" PRIu64 ", never acknowledged, and was dropped: "
                         "%" PRIu64 " bytes behind %" PRIu64 " whole writes",
                         check->path, name, check->damage_at,
                         verdict->damaged_bytes, verdict->records_before);
    }
}

static enum kist_status gather(struct check *check)
{
    enum kist_status status;

    check->directory = open(check->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (check->directory < 0)
        return KIST_IO;
    status = list(check->path, &check->listing);
    return status == KIST_OK ? read_current(check) : status;
}

static enum kist_status judge(struct check *check)
{
    enum kist_status status;

    if (!check->has_manifest)
        return KIST_OK;
    status = check_manifest(check);
    if (status == KIST_OK)
        status = check_logs(check);
    if (status == KIST_OK)
        judge_logs(check);
    return status;
}

static void clear(struct check *check)
{
    free(check->listing.logs);
    if (check->directory >= 0)
        close(check->directory);
}

enum kist_status wal_check(const char *path, enum wal_owner owner,
                           struct wal_verdict *out_verdict)
{
    struct wal_verdict verdict = {0};
    struct check check = {.path = path, .owner = owner, .verdict = &verdict};
    enum kist_status status = gather(&check);

    if (status == KIST_OK) {
        check.has_seal = wal_seal_read(check.directory, &check.seal);
        status = judge(&check);
    }
    if (status == KIST_OK)
        *out_verdict = verdict;
    clear(&check);
    return status;
}

/* Syncs the newest log; a failure may mean that its writes are not there. */
static enum kist_status sync_log(const struct check *check,
                                 struct wal_seal *seal)
{
    char name[NAME_ROOM];
    struct stat about;
    int file;
    bool synced;

    if (check->listing.log_count == 0)
        return KIST_NOT_FOUND;
    seal->log = check->listing.logs[check->listing.log_count - 1];
    log_name(name, seal->log);
    file = openat(check->directory, name, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return KIST_IO;
    synced = fdatasync(file) == 0 && fstat(file, &about) == 0;
    close(file);
    if (!synced)
        return KIST_IO;
    seal->log_size = (uint64_t)about.st_size;
    return KIST_OK;
}

static enum kist_status describe(const struct check *check,
                                 struct wal_seal *seal)
{
    char name[NAME_ROOM];
    struct stat about;
    enum kist_status status = sync_log(check, seal);

    if (status != KIST_OK)
        return status;
    seal->manifest = check->manifest;
    manifest_name(name, seal->manifest);
    if (fstatat(check->directory, name, &about, 0) != 0)
        return KIST_IO;
    seal->manifest_size = (uint64_t)about.st_size;
    return KIST_OK;
}

void wal_check_seal(const char *path, enum wal_owner owner)
{
    struct wal_verdict verdict = {0};
    struct check check = {.path = path, .owner = owner, .verdict = &verdict};

    /*
     * Judged as the next open will: a compaction that failed in the
     * background may have left half an edit in the MANIFEST, which is
     * harmless but not in good order.
     */
    check.has_seal =
        gather(&check) == KIST_OK && describe(&check, &check.seal) == KIST_OK;
    if (check.has_seal && judge(&check) == KIST_OK &&
        verdict.damage == WAL_WHOLE)
        wal_seal_write(check.directory, &check.seal);
    clear(&check);
}
