/*
 * file_limit - enough file descriptors for what the settings promise.
 *
 * Every connection is a descriptor, and the engine keeps its tables open: a
 * process that runs out of them at night fails in both at once. So the limit
 * is raised at the start, and settings that do not fit stop it.
 */
#ifndef KIST_SERVICE_FILE_LIMIT_H
#define KIST_SERVICE_FILE_LIMIT_H

#include "base/bytes.h"
#include "base/status.h"
#include "service/settings.h"

#include <stdint.h>

/*
 * Raise the soft limit to the hard one. *out_limit is what holds from now on,
 * UINT64_MAX for none. KIST_IO: the kernel does not even say.
 */
KIST_CHECKED enum kist_status file_limit_raise(uint64_t *out_limit);

/*
 * KIST_INVALID: connections and tables do not fit in limit; out_why gets one
 * line in the manner of settings_parse().
 */
KIST_CHECKED enum kist_status file_limit_check(const struct settings *settings,
                                               uint64_t limit,
                                               struct blob *out_why);

#endif
