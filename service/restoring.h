/*
 * restoring - `kistd --restore FILE` and `kistd --verify FILE`.
 */
#ifndef KIST_SERVICE_RESTORING_H
#define KIST_SERVICE_RESTORING_H

#include "service/settings.h"

/* The file, or `-`: standard input. -1: *out_text says why not. */
int restoring_open(const char *path, struct blob *out_text);

/*
 * Fill the data directory of the settings from settings->action_file (`-`:
 * standard input). Appends lines for people without the last newline: what was
 * restored, or why nothing was. Failures as restore_run().
 */
KIST_CHECKED enum kist_status restoring_run(const struct settings *settings,
                                            struct blob *out_text);

/* The same, but only read the file, and say what is in it. */
KIST_CHECKED enum kist_status restoring_verify(const struct settings *settings,
                                               struct blob *out_text);

#endif
