#include "storage/wal_seal.h"

#include "storage/crc32c.h"
#include "storage/small_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define SEAL_NAME "kist.seal" /* LevelDB leaves names it does not know. */

static void print_seal(struct blob *text, const struct wal_seal *seal)
{
    struct crc32c crc;

    blob_printf(
        text, "log %" PRIu64 " %" PRIu64 "\nmanifest %" PRIu64 " %" PRIu64 "\n",
        seal->log, seal->log_size, seal->manifest, seal->manifest_size);
    crc32c_init(&crc);
    blob_printf(text, "crc32c %08" PRIx32 "\n",
                crc32c_of(&crc, blob_view(text)));
}

/* By printing what was understood: any other bytes are not a seal. */
static bool says(struct view text, const struct wal_seal *seal)
{
    struct blob again = BLOB_EMPTY;
    bool same;

    print_seal(&again, seal);
    same = !again.failed && view_equal(text, blob_view(&again));
    blob_free(&again);
    return same;
}

bool wal_seal_read(int directory, struct wal_seal *out_seal)
{
    struct blob text = BLOB_EMPTY;
    struct wal_seal seal;
    bool found = small_file_read(directory, SEAL_NAME, &text) == KIST_OK;

    blob_append_byte(&text, '\0');
    found = found && !text.failed &&
            sscanf(text.data,
                   "log %" SCNu64 " %" SCNu64 " manifest %" SCNu64 " %" SCNu64,
                   &seal.log, &seal.log_size, &seal.manifest,
                   &seal.manifest_size) == 4 &&
            says((struct view){text.data, text.size - 1}, &seal);
    blob_free(&text);
    if (found)
        *out_seal = seal;
    return found;
}

void wal_seal_write(int directory, const struct wal_seal *seal)
{
    struct blob text = BLOB_EMPTY;
    bool written;

    print_seal(&text, seal);
    written = !text.failed && small_file_replace(directory, SEAL_NAME,
                                                 blob_view(&text)) == KIST_OK;
    /* Half a seal, or a renamed but unsynced one, may not be relied upon. */
    if (!written)
        unlinkat(directory, SEAL_NAME, 0);
    blob_free(&text);
}
