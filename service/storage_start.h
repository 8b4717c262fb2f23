/*
 * storage_start - the store opened as the settings say, what it tells being
 * lines of the log.
 */
#ifndef KIST_SERVICE_STORAGE_START_H
#define KIST_SERVICE_STORAGE_START_H

#include "service/log.h"
#include "service/settings.h"
#include "storage/store.h"

/*
 * EX_IOERR: the store failed under a running node, and a new start recovers; or
 * the disk is too full to start, which passes when there is room.
 */
#define STORAGE_START_EXIT_FAILED 74

/* What the settings say of a store, a node alone. Borrows from settings. */
struct store_options storage_start_options(const struct settings *settings);

/*
 * Keeps log. The caller ends *out_store with store_close(); as store_open() in
 * its failures, which the log explains. A store that fails later ends the
 * process with STORAGE_START_EXIT_FAILED.
 */
KIST_CHECKED enum kist_status storage_start(const struct settings *settings,
                                            struct log *log,
                                            struct store **out_store);

#endif
