/*
 * settings_refusal - the one line that says why a setting was refused.
 * Private to service/settings*.
 */
#ifndef KIST_SERVICE_SETTINGS_REFUSAL_H
#define KIST_SERVICE_SETTINGS_REFUSAL_H

#include "service/settings.h"

/* Foreign text in quotes, escaped, and shortened when it is long. */
void settings_refusal_quote(struct blob *why, struct view text);

/*
 * Where a setting came from: "--data", "KIST_DATA", "kist.ini:3: data" or
 * "data (default)". config is the path of the file.
 */
void settings_refusal_place(struct blob *why, const char *name,
                            struct settings_origin origin, const char *config);

/* --data "" is empty; allowed: ... */
void settings_refusal_value(struct blob *why, size_t row,
                            struct settings_origin origin, const char *config,
                            struct view text, const char *problem);

/*
 * "--dat" is not a setting; did you mean --data? shown is the name as it was
 * written, name is how the table would say it.
 */
void settings_refusal_name(struct blob *why, struct view shown,
                           struct view name, struct settings_origin origin,
                           const char *config);

#endif
