/*
 * settings_table - every setting, one row each. Private to service/settings*.
 *
 * To add a setting: a field in struct settings, a row here, and
 * `kistd --print-reference >docs/configuration.md` (the suite compares).
 */
#ifndef KIST_SERVICE_SETTINGS_TABLE_H
#define KIST_SERVICE_SETTINGS_TABLE_H

#include "service/settings.h"

enum setting_type {
    SETTING_BYTES,     /* uint64_t: 4096, 64KiB, 1MiB. */
    SETTING_DURATION,  /* uint64_t in ms: 500ms, 10s, 1m, 1h, 1d, 1y. */
    SETTING_COUNT,     /* uint64_t: plain digits. */
    SETTING_SWITCH,    /* bool; as a flag its value may be left out. */
    SETTING_CHOICE,    /* An enum, counted from 0 as in choices. */
    SETTING_PATH,      /* char[SETTINGS_PATH_SIZE]. */
    SETTING_ADDRESSES, /* struct settings_listeners. */
    SETTING_NAME,      /* char[SETTINGS_NAME_SIZE]. */
    SETTING_PEERS,     /* struct settings_peers. */
    SETTING_HOSTS,     /* The same, without names. */
    SETTING_NODES,     /* struct settings_redis_nodes. */
};

enum setting_change { SETTING_AT_START, SETTING_AT_RELOAD };

struct setting {
    const char *name;
    enum setting_type type;
    enum setting_change change;
    size_t offset;           /* Of the field in struct settings. */
    const char *fallback;    /* The default, as text. NULL: empty. */
    uint64_t minimum;        /* Of the numbers, */
    uint64_t maximum;        /* both included. */
    const char *zero;        /* What 0 means beside that range; or NULL. */
    const char *unit;        /* Of a count or a rate, for people; or NULL. */
    const char *choices[5];  /* In the order of the enum; ends with NULL. */
    const char *description; /* Sentences; the first one says what it is. */
};

/* Rows first to first + count belong together on every page. */
struct setting_group {
    const char *title;
    size_t count;
};

/* One must not be above the other; 0 (automatic, off) is never in conflict. */
struct setting_pair {
    size_t smaller; /* Offsets in struct settings. */
    size_t larger;
    const char *reason;
};

/* A mode of the command line: --help and its like. */
struct setting_mode {
    const char *name;
    enum settings_action action;
    const char *argument; /* What it takes, for people; NULL: nothing. */
    const char *description;
};

size_t settings_table_count(void);
const struct setting *settings_table_row(size_t row);

/* The row whose field is at offset; it must exist. */
size_t settings_table_row_at(size_t offset);

/* False: no setting has that name. */
KIST_CHECKED bool settings_table_find(struct view name, size_t *out_row);

/* NULL beyond the last one. */
const struct setting_group *settings_table_group(size_t index);
const struct setting_pair *settings_table_pair(size_t index);
const struct setting_mode *settings_table_mode(size_t index);

/*
 * The name of a setting, or as a flag also of a mode, that name may have been
 * meant to be; or NULL.
 */
const char *settings_table_nearest(struct view name,
                                   enum settings_source source);

/* KIST_MAX_JSON_BYTES for max-json-bytes, and the other way round. */
void settings_table_variable(const char *name, struct blob *out_variable);
void settings_table_name(struct view variable, struct blob *out_name);

#endif
