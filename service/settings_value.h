/*
 * settings_value - one setting's value, between text and its field.
 * Private to service/settings*.
 */
#ifndef KIST_SERVICE_SETTINGS_VALUE_H
#define KIST_SERVICE_SETTINGS_VALUE_H

#include "service/settings_table.h"

/*
 * Store text in the setting's field of settings. KIST_INVALID: *out_problem
 * ends the sentence that text began ("is not a size"), and the field is as it
 * was.
 */
KIST_CHECKED enum kist_status
settings_value_parse(const struct setting *setting, struct view text,
                     struct settings *settings, const char **out_problem);

/* The field as settings_value_parse() takes it, in the largest exact unit. */
void settings_value_print(const struct setting *setting,
                          const struct settings *settings,
                          struct blob *out_text);

/* The number in a field of a numeric type. */
uint64_t settings_value_number(const struct setting *setting,
                               const struct settings *settings);

/* What is allowed, for people: "1KiB to 64MiB, or 0 (automatic)". */
void settings_value_allowed(const struct setting *setting,
                            struct blob *out_text);

/* How it is written, for a refusal: ", like 4096, 64KiB or 1MiB"; or "". */
const char *settings_value_manner(enum setting_type type);

#endif
