/*
 * settings_ini - the lines of a configuration file. Private to
 * service/settings*; the only file that sees libinih.
 */
#ifndef KIST_SERVICE_SETTINGS_INI_H
#define KIST_SERVICE_SETTINGS_INI_H

#include "base/bytes.h"
#include "base/status.h"

struct settings_ini_hooks {
    void *ctx;
    /*
     * Once per line with a name and a value, in order. Anything but KIST_OK
     * ends the reading with that status.
     */
    enum kist_status (*entry)(void *ctx, struct view name, struct view value,
                              unsigned line);
};

/*
 * KIST_INVALID with *out_problem set: *out_line is not a line of such a file,
 * and *out_problem ends the sentence "FILE:LINE: the line ..." ("is longer
 * than 196 bytes"). Any status of the hook, with *out_problem NULL.
 */
KIST_CHECKED enum kist_status
settings_ini_read(struct view text, const struct settings_ini_hooks *hooks,
                  unsigned *out_line, const char **out_problem);

#endif
