/*
 * Preloaded into kistd by tuning.py: LevelDB options that are no settings,
 * from the environment, to measure what they would do.
 */
#include <dlfcn.h>
#include <leveldb/c.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef leveldb_t *open_function(const leveldb_options_t *options,
                                 const char *name, char **failure);

static bool asked(const char *name, size_t *out_number)
{
    const char *text = getenv(name);

    if (text != NULL)
        *out_number = strtoull(text, NULL, 10);
    return text != NULL;
}

leveldb_t *leveldb_open(const leveldb_options_t *options, const char *name,
                        char **failure)
{
    leveldb_options_t *ours = (leveldb_options_t *)options;
    void *symbol = dlsym(RTLD_NEXT, "leveldb_open");
    open_function *open_really;
    size_t number;

    memcpy(&open_really, &symbol, sizeof(symbol));
    if (asked("LEVELDB_BLOCK_SIZE", &number))
        leveldb_options_set_block_size(ours, number);
    if (asked("LEVELDB_RESTART_INTERVAL", &number))
        leveldb_options_set_block_restart_interval(ours, (int)number);
    if (asked("LEVELDB_MAX_FILE_SIZE", &number))
        leveldb_options_set_max_file_size(ours, number);
    if (asked("LEVELDB_COMPRESSION", &number))
        leveldb_options_set_compression(ours, (int)number);
    if (asked("LEVELDB_BLOOM_BITS", &number))
        leveldb_options_set_filter_policy(
            ours, number == 0 ? NULL
                              : leveldb_filterpolicy_create_bloom((int)number));
    return open_really(ours, name, failure);
}
