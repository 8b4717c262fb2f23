/*
 * reload - what SIGHUP does: the settings read again, and what came of it said.
 *
 * The service manager is told before and after, whatever the outcome.
 *
 * Threads: the one that owns settings.
 */
#ifndef KIST_SERVICE_RELOAD_H
#define KIST_SERVICE_RELOAD_H

#include "service/log.h"
#include "service/notify.h"
#include "service/settings.h"

/* A refusal is logged and changes nothing. */
void reload_settings(const struct settings_input *input,
                     struct settings *settings, struct log *log,
                     const struct notify *notify);

#endif
