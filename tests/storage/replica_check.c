#include "tests/storage/replica_check.h"

#include "storage/cursor.h"
#include "storage/replica_list.h"

#include <stdio.h>
#include <stdlib.h>

static char text[200];

struct check {
    struct store *store;
    struct bucket_secret secret;
    unsigned bits;
    struct bucket_leaf *leaves;
    size_t records, entries;
    bool failed;
};

static void complain(struct check *check, const char *what, struct view key)
{
    check->failed = true;
    snprintf(text, sizeof(text), "%s: %.*s", what, (int)key.size, key.data);
}

static void add_record(struct check *check, struct view key,
                       const struct record *record)
{
    uint64_t hash = key_hash(key);
    size_t place =
        (size_t)key_hash_partition(hash, check->bits) * KEY_HASH_LEAVES +
        key_hash_leaf(hash, check->bits);

    bucket_add(&check->leaves[place].sum, &check->secret, key, record);
    check->leaves[place].count++;
    check->records++;
}

static void add_records(struct check *check)
{
    struct cursor *cursor;
    struct record record;
    struct view key;

    if (cursor_open(check->store, CURSOR_RECORDS, &cursor) != KIST_OK)
        abort();
    for (cursor_seek(cursor, (struct view){0}); cursor_key(cursor, &key);
         cursor_next(cursor)) {
        if (cursor_record(cursor, &record) != KIST_OK)
            complain(check, "not a record", key);
        else
            add_record(check, key, &record);
    }
    if (cursor_error(cursor) != KIST_OK)
        complain(check, "records end early", VIEW_LITERAL("all"));
    cursor_close(cursor);
}

static bool note_entry(void *ctx, const struct replica_entry *entry)
{
    struct blob *entries = ctx;

    blob_append_u64(entries, entry->version.hlc);
    blob_append_u64(entries, entry->version.incarnation);
    blob_append_u64(entries, entry->expiry_ms);
    blob_append_byte(entries, entry->tombstone);
    blob_append_u16(entries, (uint16_t)entry->key.size);
    blob_append(entries, entry->key);
    return true;
}

static void check_entry(struct check *check, const char *entry, struct view key)
{
    struct item item;

    check->entries++;
    if (store_get(check->store, key, &item) != KIST_OK) {
        complain(check, "an entry without a record", key);
        return;
    }
    if (item.record.version.hlc != read_u64(entry) ||
        item.record.version.incarnation != read_u64(entry + 8) ||
        item.record.expiry_ms != read_u64(entry + 16) ||
        item.record.tombstone != (entry[24] != 0))
        complain(check, "an entry unlike its record", key);
    item_free(&item);
}

static void check_entries(struct check *check)
{
    struct key_hash_range all = {0, UINT64_MAX};
    struct blob entries = BLOB_EMPTY;
    struct replica_visitor visitor = {&entries, note_entry};
    size_t at = 0;

    if (replica_list(check->store, all, (struct view){0}, &visitor) !=
            KIST_OK ||
        entries.failed)
        complain(check, "entries end early", VIEW_LITERAL("all"));
    while (at < entries.size) {
        const char *entry = entries.data + at;
        struct view key = {entry + 27, read_u16(entry + 25)};

        check_entry(check, entry, key);
        at += 27 + key.size;
    }
    if (check->entries != check->records)
        complain(check, "another number of entries than of records",
                 VIEW_LITERAL("all"));
    blob_free(&entries);
}

static void check_sums(struct check *check)
{
    for (unsigned i = 0; i < (unsigned)KEY_HASH_LEAVES << check->bits; i++) {
        struct bucket_leaf leaf = replica_list_sum(
            check->store, i / KEY_HASH_LEAVES, i % KEY_HASH_LEAVES);

        if (leaf.count != check->leaves[i].count ||
            !bucket_sum_equal(leaf.sum, check->leaves[i].sum))
            complain(check, "a sum that is not its records'",
                     VIEW_LITERAL("all"));
    }
}

const char *replica_check(struct store *store, uint64_t cluster)
{
    struct check check = {
        .store = store,
        .secret = bucket_secret_of(cluster),
        .bits = bucket_sums_bits(store_sums(store)),
    };

    check.leaves =
        calloc((size_t)KEY_HASH_LEAVES << check.bits, sizeof(*check.leaves));
    if (check.leaves == NULL)
        abort();
    add_records(&check);
    check_entries(&check);
    check_sums(&check);
    free(check.leaves);
    return check.failed ? text : NULL;
}
